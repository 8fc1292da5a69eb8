// A delivery watched through graphql-ws, by itself or under Apollo's link or urql's exchange, beyond the end of a token.
import { ApolloClient, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { cacheExchange } from "@urql/exchange-graphcache";
import { createClient } from "graphql-ws";
import { Client, fetchExchange, subscriptionExchange } from "urql";
import WebSocket from "ws";
import { given, saw, until, wants } from "./told.mjs";

const WATCH = "subscription Watch($id: ID!) { deliveryUpdated(deliveryId: $id) { id reference parcelCount } }";
const PARCEL = "query Parcel($id: ID!) { node(id: $id) { id ... on Delivery { reference parcelCount } } }";
const variables = { id: given.delivery };
const seen = { closed: [], tokens: 0 };
let authorization = "";
let connected = () => {};

const sockets = createClient({
  url: given.url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  lazy: true,
  lazyCloseTimeout: 1000,
  retryAttempts: 3,
  retryWait: async () => {},
  connectionParams: async () => {
    seen.tokens++;
    authorization = `Bearer ${await wants("token")}`;
    return { Authorization: authorization };
  },
  on: { closed: ({ code }) => seen.closed.push(code), connected: () => connected() },
});

/** How each client watches, and asks the same connection or cache for the delivery. */
const clients = {
  "graphql-ws": () => {
    const one = (query) => (next, error) =>
      sockets.subscribe({ query, variables }, { next: ({ data }) => next(data), error, complete: () => {} });
    return { watch: one(WATCH), ask: async () => (await until(one(PARCEL), (data) => data)).node };
  },
  apollo: () => {
    const client = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(sockets) });
    const watch = (next, error) => {
      const told = ({ data, error: fault }) => (fault ? error(fault) : next(data));
      const one = client.subscribe({ query: gql(WATCH), variables }).subscribe({ next: told, error });
      return () => one.unsubscribe();
    };
    return { watch, ask: async () => (await client.query({ query: gql(PARCEL), variables })).data.node };
  },
  urql: () => {
    const forwardSubscription = ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
    });
    const exchanges = [cacheExchange({}), subscriptionExchange({ forwardSubscription, enableAllOperations: true })];
    return throughUrql(new Client({ url: given.url, exchanges }));
  },
  "urql, as an event stream": () => {
    const fetchOptions = () => ({ headers: { Authorization: given.authorization } });
    const exchanges = [cacheExchange({}), fetchExchange];
    return throughUrql(new Client({ url: given.url, exchanges, fetchOptions, fetchSubscriptions: true }));
  },
};

function throughUrql(client) {
  const watch = (next, error) =>
    client.subscription(WATCH, variables).subscribe((one) => (one.error ? error(one.error) : next(one.data)))
      .unsubscribe;
  return { watch, ask: async () => (await client.query(PARCEL, variables).toPromise()).data.node };
}

const { watch, ask } = clients[given.client]();
const before = await ask();
const events = [];
let heard = () => {};
let failed = (fault) => { throw fault; };
const stop = watch(
  ({ deliveryUpdated }) => heard(events.push(deliveryUpdated)),
  (fault) => failed(fault),
);

/** Changes the delivery until the change is told. */
async function changed() {
  const told = new Promise((resolve, reject) => ([heard, failed] = [resolve, reject]));
  await wants("change");
  await told;
}

await changed();
if (given.renews) {
  const again = new Promise((resolve) => (connected = resolve));
  await wants("end", authorization);
  await again;
  await changed();
}
// A cache that is normalised by our ids shows the event's delivery to whoever asks for it.
const cached = await ask();
stop();
await wants("watched");
seen.before = before.parcelCount;
seen.told = events.map((one) => one.parcelCount);
seen.cached = cached.parcelCount;
seen.reference = new Set([before, cached, ...events].map((one) => one.reference)).size;
saw(seen);
