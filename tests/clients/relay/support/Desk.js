// What a support desk asks, for relay-compiler; what it is refused is caught where it would stand.
import { graphql } from "relay-runtime";

export const address = graphql`
  query DeskAddressQuery($id: ID!) {
    customer(id: $id) {
      id
      number
      streetAddress @catch(to: RESULT)
    }
  }
`;
