// What graphql-ws makes of the gateway beside subscriptions: queries, changes and refusals over sockets.
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { given, saw } from "./told.mjs";

const seen = {};
const clientOf = (headers, on = {}) =>
  createClient({
    url: given.url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: headers,
    lazyCloseTimeout: 500,
    retryAttempts: 0,
    on,
  });

/** The one result of an operation; what is refused as a whole is thrown. */
async function asked(client, query, variables = {}) {
  for await (const result of client.iterate({ query, variables })) return result;
}

const ORDERS = `query Orders($first: Int!, $after: String) {
  orders(first: $first, after: $after, orderBy: [{placedAt: DESC}]) { nodes { number } pageInfo { endCursor } } }`;
const CHANGE = `mutation Change($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) { customer { id } userErrors { code coordinate path } } }`;
const EMAIL = "query Email($id: ID!) { customer(id: $id) { email } }";

const customer = clientOf(given.headers.customer);
const first = (await asked(customer, ORDERS, { first: 2 })).data.orders;
const second = (await asked(customer, ORDERS, { first: 2, after: first.pageInfo.endCursor })).data.orders;
seen.pages = [first, second].map((page) => page.nodes.map((node) => node.number));
const input = { id: given.id, postalCode: "no code", email: "no address" };
seen.wrong = (await asked(customer, CHANGE, { input })).data.updateCustomer.userErrors;

const carrier = clientOf(given.headers.carrier);
const { data, errors } = await asked(carrier, "{ deliveries(first: 1) { nodes { reference order { number } } } }");
const [parcel] = data.deliveries.nodes;
seen.refused = {
  codes: errors.map((one) => one.extensions.code),
  order: parcel.order,
  reference: parcel.reference.startsWith("D-"),
};
const whole = "subscription Whole($id: ID!) { deliveryUpdated(orderId: $id) { reference } }";
seen.whole = await asked(carrier, whole, { id: given.order }).catch((faults) =>
  faults.map(({ extensions }) => [extensions.code, extensions.coordinate]),
);
seen.after = (await asked(carrier, "{ viewer { role } }")).data.viewer.role;

const { support } = given.headers;
const purpose = { "Processing-Purpose": "customer-service" };
seen.masked = (await asked(clientOf(support), EMAIL, { id: given.other })).data.customer.email;
seen.plain = (await asked(clientOf({ ...support, ...purpose }), EMAIL, { id: given.other })).data.customer.email;

const strange = clientOf({ Authorization: "Bearer nothing" });
seen.strange = await asked(strange, "{ viewer { role } }").catch((event) => event.code);
saw(seen);
