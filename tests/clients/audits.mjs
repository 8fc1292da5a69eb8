// Runs the server audits of graphql-http and tells their results.
import { serverAudits } from "graphql-http";
import { given, saw } from "./told.mjs";

const { url, headers } = given;
const fetchFn = (address, asked = {}) =>
  fetch(address, { ...asked, headers: { ...asked.headers, ...headers } });
const results = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const { id, name, status, reason } = await audit.fn();
  results.push({ id, name, status, reason });
}
saw(results);
