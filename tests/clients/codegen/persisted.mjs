// Persisted documents by urql's exchange: the ids that graphql-codegen gave them, and ids it makes as it goes.
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import { Client, fetchExchange, gql, subscriptionExchange } from "urql";
import WebSocket from "ws";
import { OrderDocument, PlaceDocument, WatchDocument } from "./made/customer/gql/graphql.js";
import { ParcelsDocument } from "./made/carrier/gql/graphql.js";
import { given, saw, until, wants } from "./told.mjs";

const WHO = gql`query Who { viewer { role } }`;
const codes = (error) => error.graphQLErrors.map((one) => one.extensions.code);

/** A client of one of the servers, and how each of its requests named the document. */
function clientOf(server, options) {
  const ways = [];
  const counted = (url, asked) => {
    const { query } = asked.body ? JSON.parse(asked.body) : Object.fromEntries(new URL(url).searchParams);
    ways.push(`${asked.method} ${query ? "text" : "id"}`);
    return fetch(url, asked);
  };
  const sockets = createClient({
    url: given.urls[server].replace("http", "ws"),
    webSocketImpl: WebSocket,
    lazyCloseTimeout: 0,
    connectionParams: given.headers.customer,
  });
  const forwardSubscription = ({ query = "", variables, extensions }) => {
    ways.push(`socket ${query ? "text" : "id"}`);
    return {
      subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables, extensions }, sink) }),
    };
  };
  const exchanges = [persistedExchange(options), fetchExchange, subscriptionExchange({ forwardSubscription })];
  const fetchOptions = { headers: given.headers.customer };
  return [new Client({ url: given.urls[server], fetch: counted, fetchOptions, exchanges }), ways];
}

const seen = {};
{
  const [client, ways] = clientOf("only", {
    enforcePersistedQueries: true,
    enableForMutation: true,
    enableForSubscriptions: true,
    generateHash: async (_, document) => document.__meta__.hash,
  });
  const placed = (await client.mutation(PlaceDocument, { input: given.basket }).toPromise()).data.placeOrder;
  const { data } = await client.query(OrderDocument, { id: placed.order.id }).toPromise();
  const told = until(
    (next) => client.subscription(WatchDocument, { id: given.delivery }).subscribe(next).unsubscribe,
  );
  await wants("change");
  const event = await told;
  seen.made = {
    errors: placed.userErrors,
    same: data.order.number === placed.order.number,
    total: data.order.total.amount,
    told: event.error ? codes(event.error) : event.data.deliveryUpdated.id === given.delivery,
    ways,
  };
}
for (const server of ["only", "listed", "none"]) {
  const [client, ways] = clientOf(server, {});
  const answers = [];
  for (const query of [WHO, gql`query Again { viewer { role } }`]) {
    const { data, error } = await client.query(query, {}).toPromise();
    answers.push(data?.viewer.role ?? codes(error));
  }
  seen[server] = { answers, ways };
}
{
  // Without a client: what a document is made as is all that is needed.
  const body = JSON.stringify({ documentId: ParcelsDocument.__meta__.hash, variables: { first: 2 } });
  const headers = { "content-type": "application/json", ...given.headers.carrier };
  const { data } = await (await fetch(given.urls.only, { method: "POST", headers, body })).json();
  seen.parcels = data.deliveries.edges.length;
}
saw(seen);
