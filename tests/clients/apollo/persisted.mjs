// Persisted documents by Apollo's link: of a manifest its tool made, and of ids its link makes as it goes.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { createPersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { createPersistedQueryManifestVerificationLink } from "@apollo/persisted-query-lists";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";
import { CHANGE, ORDERS, WHO } from "./src/documents.js";
import { given, saw } from "./told.mjs";

const loadManifest = async () => JSON.parse(await readFile("persisted-query-manifest.json", "utf8"));
const sha256 = async (text) => createHash("sha256").update(text).digest("hex");
const STRAY = gql`query Stray { viewer { role __typename } carriers(first: 1) { totalCount } }`;
const strays = [];

/** A client of one of the servers, and how each of its requests named the document. */
function clientOf(server, link) {
  const ways = [];
  const counted = (url, asked) => {
    const { query } = asked.body ? JSON.parse(asked.body) : Object.fromEntries(new URL(url).searchParams);
    ways.push(`${asked.method} ${query ? "text" : "id"}`);
    return fetch(url, asked);
  };
  const http = new HttpLink({ uri: given.urls[server], headers: given.headers.customer, fetch: counted });
  const onVerificationFailed = ({ reason, operation }) => strays.push(`${operation.operationName}: ${reason}`);
  const verified = createPersistedQueryManifestVerificationLink({ loadManifest, onVerificationFailed });
  const links = ApolloLink.from([verified, link, http]);
  return [new ApolloClient({ cache: new InMemoryCache(), link: links }), ways];
}

const seen = {};
const listed = () => createPersistedQueryLink(generatePersistedQueryIdsFromManifest({ loadManifest }));
const learnt = () => createPersistedQueryLink({ sha256, useGETForHashedQueries: true });

{
  const [client, ways] = clientOf("only", listed());
  const { data } = await client.query({ query: ORDERS, variables: { first: 3 } });
  const who = await client.query({ query: WHO });
  seen.manifest = { orders: data.orders.edges.length, role: who.data.viewer.role, ways };
}
for (const server of ["only", "listed", "none"]) {
  const [client, ways] = clientOf(server, learnt());
  const who = (await client.query({ query: WHO })).data.viewer.role;
  const stray = await client.query({ query: STRAY, errorPolicy: "all" });
  const told = stray.data?.viewer.role ?? stray.error.errors.map((one) => one.extensions.code);
  seen[server] = { who, stray: told, ways };
}
{
  const [client, ways] = clientOf("listed", listed());
  const input = { id: given.id, firstName: "Kielo" };
  const { data } = await client.mutate({ mutation: CHANGE, variables: { input } });
  seen.changed = { errors: data.updateCustomer.userErrors, ways };
}
seen.strays = [...new Set(strays)];
saw(seen);
