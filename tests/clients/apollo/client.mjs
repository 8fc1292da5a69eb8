// What @apollo/client makes of the gateway: its cache, pages, partial answers, changes, purposes and tokens.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { ErrorLink } from "@apollo/client/link/error";
import { relayStylePagination } from "@apollo/client/utilities";
import { from, switchMap } from "rxjs";
import { given, saw, until } from "./told.mjs";

const policies = { Query: { fields: { orders: relayStylePagination(["where", "orderBy"]) } } };
const clientOf = (name, ...before) =>
  new ApolloClient({
    cache: new InMemoryCache({ typePolicies: policies }),
    link: ApolloLink.from([...before, new HttpLink({ uri: given.url, headers: given.headers[name] })]),
  });
const codes = (error) => error.errors.map((one) => one.extensions.code);

const PROFILE = gql`query Profile($id: ID!) { node(id: $id) { id ... on Customer { firstName email version } } }`;
const ORDERS = gql`query Orders($first: Int!, $after: String) {
  orders(first: $first, after: $after, orderBy: [{placedAt: DESC}]) {
    totalCount edges { cursor node { id number status total { amount currency } } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
const CHANGE = gql`mutation Change($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) { customer { id firstName version } userErrors { code coordinate path } } }`;

const customer = clientOf("customer");
const seen = {};

async function asksAndIsGivenPages() {
  const variables = { first: 2 };
  let { pageInfo } = (await customer.query({ query: ORDERS, variables })).data.orders;
  const watched = customer.watchQuery({ query: ORDERS, variables });
  const whole = until(
    (next, error) => {
      const one = watched.subscribe({ next, error });
      return () => one.unsubscribe();
    },
    ({ data }) => data?.orders?.edges.length === data?.orders?.totalCount,
  );
  for (seen.pages = 1; pageInfo.hasNextPage; seen.pages++) {
    const more = await watched.fetchMore({ variables: { after: pageInfo.endCursor } });
    pageInfo = more.data.orders.pageInfo;
  }
  const { data } = await whole;
  seen.orders = { total: data.orders.totalCount, numbers: data.orders.edges.map((edge) => edge.node.number) };
  const [{ node }] = data.orders.edges;
  const id = customer.cache.identify(node);
  seen.key = { expected: `Order:${node.id}`, found: id };
  seen.cached = customer.cache.readFragment({ id, fragment: gql`fragment F on Order { number status }` });
}

async function changesWhatIsCached() {
  const variables = { id: given.id };
  const before = await customer.query({ query: PROFILE, variables });
  const changed = (input) =>
    customer.mutate({ mutation: CHANGE, variables: { input: { id: given.id, ...input } } });
  seen.wrong = (await changed({ postalCode: "no code", email: "no address" })).data.updateCustomer.userErrors;
  const { version } = before.data.node;
  seen.changed = (await changed({ firstName: "Kerttu", ifVersion: version })).data.updateCustomer.userErrors;
  const after = await customer.query({ query: PROFILE, variables, fetchPolicy: "cache-only" });
  seen.after = { firstName: after.data.node.firstName, versions: after.data.node.version - version };
  seen.stale = (await changed({ firstName: "Kerttu", ifVersion: version })).data.updateCustomer.userErrors;
}

async function isToldWhatIsRefused() {
  const query = gql`query Parcels { deliveries(first: 1) { nodes { id reference order { number } } } }`;
  const carrier = clientOf("carrier");
  const answer = await carrier.query({ query, errorPolicy: "all" });
  const [error] = answer.error.errors;
  seen.refused = { data: answer.data, coordinates: [error.extensions.coordinate], codes: codes(answer.error) };
  seen.isCombined = CombinedGraphQLErrors.is(answer.error);
  const strict = await clientOf("carrier").query({ query }).catch((fault) => codes(fault));
  seen.strict = strict;
  const reject = { headers: { "On-Forbidden": "reject" } };
  const rejected = await carrier.query({ query, errorPolicy: "all", context: reject, fetchPolicy: "no-cache" });
  seen.rejected = { data: rejected.data ?? null, codes: codes(rejected.error) };
}

async function declaresItsPurpose() {
  const support = clientOf("support");
  const asked = (headers) =>
    support.query({
      query: PROFILE,
      variables: { id: given.other },
      context: { headers },
      fetchPolicy: "no-cache",
      errorPolicy: "all",
    });
  seen.masked = (await asked({})).data.node.email;
  seen.plain = (await asked({ "Processing-Purpose": "customer-service", "Case-Reference": "CASE-7" })).data.node.email;
  seen.unknown = codes((await asked({ "Processing-Purpose": "fun" })).error);
}

async function renewsItsToken() {
  let { accessToken, refreshToken } = given.session;
  const renew = gql`mutation Renew($input: RefreshSessionInput!) {
    refreshSession(input: $input) { accessToken refreshToken userErrors { code } } }`;
  const nobody = clientOf("anonymous");
  const refreshed = async () => {
    const { data } = await nobody.mutate({ mutation: renew, variables: { input: { refreshToken } } });
    ({ accessToken, refreshToken } = data.refreshSession);
  };
  const renewals = new ErrorLink(({ error, operation, forward }) => {
    if (!CombinedGraphQLErrors.is(error) || !codes(error).includes("UNAUTHENTICATED")) return;
    seen.renewals = (seen.renewals ?? 0) + 1;
    return from(refreshed()).pipe(switchMap(() => forward(operation)));
  });
  const signed = new ApolloLink((operation, forward) => {
    operation.setContext({ headers: { authorization: `Bearer ${accessToken}` } });
    return forward(operation);
  });
  const client = clientOf("anonymous", renewals, signed);
  const answer = await client.query({ query: gql`query Who { viewer { role } }` });
  seen.who = answer.data.viewer.role;
}

await asksAndIsGivenPages();
await changesWhatIsCached();
await isToldWhatIsRefused();
await declaresItsPurpose();
await renewsItsToken();
saw(seen);
