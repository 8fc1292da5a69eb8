// What a storefront asks, for relay-compiler; the program takes what it makes of it.
import { graphql } from "relay-runtime";

export const order = graphql`
  fragment Orders_order on Order {
    number
    status
    total {
      amount
      currency
    }
  }
`;

export const list = graphql`
  fragment Orders_list on Customer
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
  @refetchable(queryName: "OrdersPageQuery") {
    orders(first: $count, after: $cursor) @connection(key: "Orders_orders") {
      totalCount
      edges {
        node {
          id
          ...Orders_order
        }
      }
    }
  }
`;

export const profile = graphql`
  query OrdersProfileQuery($id: ID!) {
    customer(id: $id) {
      id
      firstName
      version
      ...Orders_list
    }
  }
`;

export const change = graphql`
  mutation OrdersChangeMutation($input: UpdateCustomerInput!) {
    updateCustomer(input: $input) {
      customer {
        id
        firstName
        version
      }
      userErrors {
        code
        coordinate
        path
      }
    }
  }
`;
