// A carrier's desk in TypeScript; each line below `@ts-expect-error` has to be wrong.
import { type FragmentType, getFragmentData, graphql } from "./gql";
import type { ReportDeliveryEventInput } from "./gql/graphql";

const Parcel = graphql(`
  fragment Parcel on Delivery {
    id
    reference
    status
    weightGrams
    promisedAt
    recipientName
  }
`);

export const Parcels = graphql(`
  query Parcels($first: Int!, $after: String, $where: DeliveryWhere) {
    deliveries(first: $first, after: $after, where: $where) {
      totalCount
      edges {
        cursor
        node {
          ...Parcel
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

export const Report = graphql(`
  mutation Report($input: ReportDeliveryEventInput!) {
    reportDeliveryEvent(input: $input) {
      deliveries {
        ...Parcel
      }
      results {
        outcome
        userErrors {
          code
          path
        }
      }
    }
  }
`);

export const Watch = graphql(`
  subscription Watch($id: ID!) {
    deliveryUpdated(deliveryId: $id) {
      ...Parcel
    }
  }
`);

export function label(of: FragmentType<typeof Parcel>): string {
  const parcel = getFragmentData(Parcel, of);
  // @ts-expect-error any field may be refused, and is null then
  const unsure: string = parcel.reference;
  // @ts-expect-error what was not asked for is not there
  parcel.trackingCode;
  const known: string = parcel.id;
  const grams: number | null | undefined = parcel.weightGrams;
  const promised: string | null | undefined = parcel.promisedAt;
  // @ts-expect-error a status is one of those of the schema
  const isGone = parcel.status === "GONE";
  return `${known} ${parcel.recipientName ?? unsure} ${grams} ${promised} ${isGone || parcel.status === "DELIVERED"}`;
}

export const input: ReportDeliveryEventInput = {
  events: [
    {
      deliveryId: "RGVsaXZlcnk6MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAx",
      status: "DELIVERED",
      occurredAt: "2026-06-15T12:00:00Z",
      idempotencyKey: "00000000-0000-0000-0000-000000000001",
    },
  ],
};

// @ts-expect-error a report has a moment
export const incomplete: ReportDeliveryEventInput = { events: [{ deliveryId: "x", status: "DELIVERED", idempotencyKey: "y" }] };
