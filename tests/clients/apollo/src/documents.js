// What a storefront asks; its manifest is made of this by Apollo's own tool.
import { gql } from "@apollo/client";

const ORDER = gql`
  fragment OrderParts on Order {
    id
    number
    status
  }
`;

export const ORDERS = gql`
  query Orders($first: Int!, $after: String) {
    orders(first: $first, after: $after) {
      totalCount
      edges {
        node {
          ...OrderParts
        }
      }
      pageInfo {
        endCursor
      }
    }
  }
  ${ORDER}
`;

export const CHANGE = gql`
  mutation Change($input: UpdateCustomerInput!) {
    updateCustomer(input: $input) {
      customer {
        id
        firstName
      }
      userErrors {
        code
      }
    }
  }
`;

export const WATCH = gql`
  subscription Watch($id: ID!) {
    deliveryUpdated(deliveryId: $id) {
      id
      reference
    }
  }
`;

export const WHO = gql`
  query Who {
    viewer {
      role
    }
  }
`;
