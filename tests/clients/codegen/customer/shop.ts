// A storefront in TypeScript; each line below `@ts-expect-error` has to be wrong.
import type { ResultOf, VariablesOf } from "@graphql-typed-document-node/core";
import { type FragmentType, getFragmentData, graphql } from "./gql";
import type { UserErrorCode } from "./gql/graphql";

const TAKEN: UserErrorCode = "CONFLICT";

const Line = graphql(`
  fragment Line on OrderLine {
    id
    name
    quantity
    unitPrice {
      amount
      currency
    }
  }
`);

export const Order = graphql(`
  query Order($id: ID!) {
    order(id: $id) {
      id
      number
      placedAt
      total {
        amount
        currency
      }
      lines(first: 10) {
        nodes {
          ...Line
        }
      }
    }
  }
`);

export const Place = graphql(`
  mutation Place($input: PlaceOrderInput!) {
    placeOrder(input: $input) {
      order {
        id
        number
      }
      accessToken
      userErrors {
        code
        coordinate
        message
        path
      }
    }
  }
`);

export const Anything = graphql(`
  query Anything($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Return {
        refundDueAt
      }
      ... on Delivery {
        signedBy
      }
    }
  }
`);

export const Watch = graphql(`
  subscription Watch($id: ID!) {
    deliveryUpdated(deliveryId: $id) {
      id
      status
    }
  }
`);

export function total(answer: ResultOf<typeof Order>): string {
  const order = answer.order;
  // @ts-expect-error an order that is not seen is null
  order.total;
  const amount: string | undefined = order?.total?.amount;
  // @ts-expect-error an amount is a text, and no number
  const doubled = order?.total?.amount * 2;
  return `${amount} ${order?.total?.currency} ${doubled}`;
}

export function price(of: FragmentType<typeof Line>): string | undefined {
  return getFragmentData(Line, of).unitPrice?.amount;
}

export function told(node: ResultOf<typeof Anything>["node"]): string | null | undefined {
  if (node?.__typename === "Return") return node.refundDueAt;
  if (node?.__typename === "Delivery") return node.signedBy;
  return null;
}

export function isTaken(answer: ResultOf<typeof Place>): boolean {
  return answer.placeOrder?.userErrors.some((one) => one.code === TAKEN) ?? false;
}

export const basket: VariablesOf<typeof Place> = {
  input: {
    lines: [{ sku: "KIT-1001", quantity: 2 }],
    paymentMethod: "CARD",
    delivery: { serviceCode: "PICKUP" },
    idempotencyKey: "00000000-0000-0000-0000-000000000001",
  },
};

// @ts-expect-error prices are the store's
export const cheap: VariablesOf<typeof Place> = { input: { ...basket.input, total: "0.01" } };
