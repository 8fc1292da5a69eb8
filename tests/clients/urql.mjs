// What urql makes of the gateway: its normalised cache, which knows the schema, pages, partial answers and changes.
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { getIntrospectionQuery } from "graphql";
import { Client, fetchExchange, gql } from "urql";
import { given, saw, until } from "./told.mjs";

const codes = (error) => error.graphQLErrors.map((one) => one.extensions.code);
const seen = {};

async function clientOf(name, ...exchanges) {
  const options = { url: given.url, fetchOptions: { headers: given.headers[name] } };
  const plain = new Client({ ...options, exchanges: [fetchExchange] });
  const { data: schema } = await plain.query(getIntrospectionQuery({ descriptions: false }), {}).toPromise();
  const types = new Set(schema.__schema.types.map((type) => type.name));
  const resolvers = types.has("OrderConnection") ? { Query: { orders: relayPagination() } } : {};
  // What has no id is kept in what holds it.
  const kept = ["Money", "UserError"].filter((type) => types.has(type));
  const keys = Object.fromEntries(kept.map((type) => [type, () => null]));
  const cache = cacheExchange({ schema, resolvers, keys });
  return new Client({ ...options, exchanges: [cache, ...exchanges, fetchExchange] });
}

const customer = await clientOf("customer");
const PROFILE = gql`query Profile($id: ID!) { node(id: $id) { id ... on Customer { firstName email version } } }`;
const ORDERS = gql`query Orders($first: Int!, $after: String) {
  orders(first: $first, after: $after, orderBy: [{placedAt: DESC}]) {
    totalCount edges { cursor node { id number status total { amount currency } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
const CHANGE = gql`mutation Change($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) { customer { id firstName version } userErrors { code coordinate path } } }`;

async function asksAndIsGivenPages() {
  let answer = await customer.query(ORDERS, { first: 2 });
  for (seen.pages = 1; answer.data.orders.pageInfo.hasNextPage; seen.pages++) {
    await customer.query(ORDERS, { first: 2, after: answer.data.orders.pageInfo.endCursor });
    answer = await customer.query(ORDERS, { first: 2 }, { requestPolicy: "cache-only" });
  }
  const { orders } = answer.data;
  seen.orders = { total: orders.totalCount, numbers: orders.edges.map((edge) => edge.node.number) };
  const key = gql`query Key($id: ID!) { order(id: $id) { id number } }`;
  const [{ node }] = orders.edges;
  const again = await customer.query(key, { id: node.id });
  seen.same = again.data.order.number === node.number;
}

async function changesWhatIsCached() {
  const variables = { id: given.id };
  const watched = customer.query(PROFILE, variables);
  const named = (wanted) => until((next) => watched.subscribe(next).unsubscribe, wanted);
  const { node } = (await named(({ data }) => data?.node)).data;
  const changed = named(({ data }) => data?.node?.version > node.version);
  const send = (input) => customer.mutation(CHANGE, { input: { id: given.id, ...input } }).toPromise();
  seen.wrong = (await send({ postalCode: "no code", email: "no address" })).data.updateCustomer.userErrors;
  seen.changed = (await send({ firstName: "Kaarina", ifVersion: node.version })).data.updateCustomer.userErrors;
  const after = (await changed).data.node;
  seen.after = { firstName: after.firstName, versions: after.version - node.version };
}

async function isToldWhatIsRefused() {
  const support = await clientOf("support");
  const query = gql`query Addresses($id: ID!) { node(id: $id) { id ... on Customer { number streetAddress } } }`;
  const asked = (headers = {}) => {
    const fetchOptions = { headers: { ...given.headers.support, ...headers } };
    return support.query(query, { id: given.other }, { fetchOptions, requestPolicy: "network-only" });
  };
  const shown = ({ data, error, extensions }) => ({
    status: error?.response.status ?? 200,
    codes: error ? codes(error) : [],
    purposes: error?.graphQLErrors[0].extensions.purposes ?? [],
    number: data?.node?.number ?? null,
    address: data?.node?.streetAddress ?? null,
    withheld: extensions?.withheld ?? [],
  });
  seen.refused = shown(await asked());
  seen.rejected = shown(await asked({ "On-Forbidden": "reject" }));
  seen.declared = shown(await asked({ "Processing-Purpose": "customer-service", "Case-Reference": "CASE-7" }));
  seen.unknown = shown(await asked({ "Processing-Purpose": "fun" }));
}

async function asksByGet() {
  const client = new Client({
    url: given.url,
    preferGetMethod: "force",
    fetchOptions: { headers: given.headers.customer },
    exchanges: [fetchExchange],
  });
  const answer = await client.query(PROFILE, { id: given.id }).toPromise();
  seen.got = answer.data.node.id === given.id && answer.error === undefined;
}

await asksAndIsGivenPages();
await changesWhatIsCached();
await isToldWhatIsRefused();
await asksByGet();
saw(seen);
