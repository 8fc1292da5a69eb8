// What a carrier's desk asks, for relay-compiler; the program takes what it makes of it.
import { graphql } from "relay-runtime";

export const item = graphql`
  fragment Parcels_item on Delivery {
    reference
    status
    trackingCode
    recipientName
  }
`;

export const list = graphql`
  fragment Parcels_list on Query
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
  @refetchable(queryName: "ParcelsPageQuery") {
    deliveries(first: $count, after: $cursor, orderBy: [{ reference: ASC }])
      @connection(key: "Parcels_deliveries", filters: []) {
      totalCount
      edges {
        node {
          id
          ...Parcels_item
        }
      }
    }
  }
`;

export const history = graphql`
  fragment Parcels_history on Delivery
  @argumentDefinitions(count: { type: "Int", defaultValue: 1 }, cursor: { type: "String" })
  @refetchable(queryName: "ParcelsHistoryQuery") {
    events(first: $count, after: $cursor) @connection(key: "Parcels_events") {
      edges {
        node {
          id
          status
          place
        }
      }
    }
  }
`;

export const parcels = graphql`
  query ParcelsQuery {
    ...Parcels_list
  }
`;

export const parcel = graphql`
  query ParcelsOneQuery($id: ID!) {
    node(id: $id) {
      id
      ...Parcels_item @alias(as: "item")
      ...Parcels_history @alias(as: "history")
    }
  }
`;

export const report = graphql`
  mutation ParcelsReportMutation($input: ReportDeliveryEventInput!) {
    reportDeliveryEvent(input: $input) {
      deliveries {
        ...Parcels_item
      }
      results {
        outcome
        userErrors {
          code
          coordinate
        }
      }
    }
  }
`;

export const watch = graphql`
  subscription ParcelsWatchSubscription($id: ID!) {
    deliveryUpdated(deliveryId: $id) {
      id
      ...Parcels_item
    }
  }
`;
