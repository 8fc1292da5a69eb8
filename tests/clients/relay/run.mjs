// Runs what relay-compiler made by relay-runtime: pages, changes and events in its store, sent by id alone.
import { createRequire } from "node:module";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import WebSocket from "ws";
import { given, saw, until, wants } from "./told.mjs";

const { Environment, Network, Observable, RecordSource, Store } = relay;
const { commitMutation, createOperationDescriptor, fetchQuery, getRequest, getSelector } = relay;
const require = createRequire(import.meta.url);
const seen = {};

/** What is sent of a document: its id where it is persisted, else its text. */
const sent = ({ id, text }) => (id ? { doc_id: id } : { query: text });

function environmentOf(name) {
  const sockets = createClient({
    url: given.url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    lazyCloseTimeout: 0,
    connectionParams: given.headers[name],
  });
  const ask = async (document, variables, { metadata }) => {
    const headers = { "content-type": "application/json", ...given.headers[name], ...metadata?.headers };
    const body = JSON.stringify({ ...sent(document), variables });
    return (await fetch(given.url, { method: "POST", headers, body })).json();
  };
  const watch = (document, variables) =>
    // graphql-ws sends no operation without a text; an empty one is none.
    Observable.create((sink) => sockets.subscribe({ query: "", ...sent(document), variables }, sink));
  const store = new Store(new RecordSource());
  return new Environment({ network: Network.create(ask, watch), store });
}

const artifact = (project, name) => require(`./${project}/__generated__/${name}.graphql.js`);
const changed = (environment, mutation, input) =>
  new Promise((onCompleted, onError) =>
    commitMutation(environment, { mutation, variables: { input }, onCompleted, onError }),
  );
const asked = (environment, query, variables, metadata) =>
  fetchQuery(environment, query, variables, { networkCacheConfig: { force: true, metadata } }).toPromise();

/** What stands in the store for a fragment where a query, or what is read of it, refers to it. */
function read(environment, fragment, reference) {
  return environment.lookup(getSelector(fragment, reference)).data;
}

/** Every page of a fragment's connection, each by the query that was made to refetch it. */
async function paged(environment, fragment, page, reference, field, variables = {}) {
  let pages = 1;
  for (;;) {
    const connection = read(environment, fragment, reference)[field];
    if (!connection.pageInfo.hasNextPage) return { pages, connection };
    await asked(environment, page, { ...variables, cursor: connection.pageInfo.endCursor });
    pages++;
  }
}

async function carrierLists(environment) {
  const root = await asked(environment, artifact("carrier", "ParcelsQuery"), {});
  const list = artifact("carrier", "Parcels_list");
  const page = artifact("carrier", "ParcelsPageQuery");
  const { pages, connection } = await paged(environment, list, page, root, "deliveries", { count: 5 });
  const items = connection.edges.map(({ node }) => read(environment, artifact("carrier", "Parcels_item"), node));
  seen.parcels = { pages, total: connection.totalCount, references: items.map((item) => item.reference) };
}

async function carrierReports(environment) {
  const id = given.delivery;
  const report = artifact("carrier", "ParcelsReportMutation");
  const { node } = await asked(environment, artifact("carrier", "ParcelsOneQuery"), { id });
  const event = (place, minutes) => ({
    deliveryId: id,
    status: "IN_TRANSIT",
    occurredAt: new Date(new Date(given.now) - minutes * 60_000).toISOString(),
    place,
    idempotencyKey: crypto.randomUUID(),
  });
  const events = [event("Tampere", 2), event("someone@example.com", 1)];
  const answer = await changed(environment, report, { events });
  seen.reported = answer.reportDeliveryEvent.results;
  const again = await asked(environment, artifact("carrier", "ParcelsOneQuery"), { id });
  const history = artifact("carrier", "Parcels_history");
  const page = artifact("carrier", "ParcelsHistoryQuery");
  const { pages, connection } = await paged(environment, history, page, again.node.history, "events", { id });
  seen.history = { pages, places: connection.edges.map((edge) => edge.node.place) };
  return read(environment, artifact("carrier", "Parcels_item"), node.item).status;
}

async function carrierWatches(environment) {
  const item = artifact("carrier", "Parcels_item");
  const { node } = await asked(environment, artifact("carrier", "ParcelsOneQuery"), { id: given.delivery });
  const before = read(environment, item, node.item).trackingCode;
  const document = getRequest(artifact("carrier", "ParcelsWatchSubscription"));
  const operation = createOperationDescriptor(document, { id: given.delivery });
  const told = until((next, error) => {
    const one = environment.executeSubscription({ operation }).subscribe({ next, error });
    return () => one.unsubscribe();
  });
  await wants("change");
  await told;
  // The list's own fragment is read anew: the event was for a delivery that the store knew.
  seen.tracked = { before, after: read(environment, item, node.item).trackingCode };
}

async function customerChanges(environment) {
  const { customer } = await asked(environment, artifact("customer", "OrdersProfileQuery"), { id: given.id });
  const list = artifact("customer", "Orders_list");
  const page = artifact("customer", "OrdersPageQuery");
  const { pages, connection } = await paged(environment, list, page, customer, "orders", { id: given.id });
  const items = connection.edges.map(({ node }) => read(environment, artifact("customer", "Orders_order"), node));
  seen.orders = { pages, total: connection.totalCount, numbers: items.map((item) => item.number) };
  const mutation = artifact("customer", "OrdersChangeMutation");
  const change = async (input) =>
    (await changed(environment, mutation, { id: given.id, ...input })).updateCustomer.userErrors;
  seen.wrong = await change({ email: "no address" });
  seen.changed = await change({ firstName: "Kyllikki", ifVersion: customer.version });
  const query = getRequest(artifact("customer", "OrdersProfileQuery"));
  const stored = environment.lookup(createOperationDescriptor(query, { id: given.id }).fragment).data;
  seen.stored = { firstName: stored.customer.firstName, versions: stored.customer.version - customer.version };
}

async function deskIsRefused(environment) {
  const query = artifact("support", "DeskAddressQuery");
  const purpose = { headers: { "Processing-Purpose": "customer-service" } };
  const refused = (await asked(environment, query, { id: given.other })).customer;
  const shown = (await asked(environment, query, { id: given.other }, purpose)).customer;
  seen.refused = { isBeside: refused.number === shown.number, ok: refused.streetAddress.ok };
  seen.shown = shown.streetAddress.ok && typeof shown.streetAddress.value;
  // What is refused as a whole fails the operation.
  const reject = { headers: { "On-Forbidden": "reject" } };
  seen.rejected = await asked(environment, query, { id: given.other }, reject).catch((fault) =>
    fault.source.errors.map((one) => one.extensions.code),
  );
}

const carrier = environmentOf("carrier");
await carrierLists(carrier);
seen.status = await carrierReports(carrier);
await carrierWatches(carrier);
await customerChanges(environmentOf("customer"));
await deskIsRefused(environmentOf("support"));
saw(seen);
