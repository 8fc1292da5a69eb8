// What a program is given by its test, asks of it, and tells it: lines of JSON on its standard input and output.
import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const heard = async () => JSON.parse((await lines.next()).value);
const say = (told) => process.stdout.write(`${JSON.stringify(told)}\n`);

export const given = await heard();

/** Has the test do something, such as changing the register, and gives what it answers. */
export async function wants(what, ...values) {
  say({ wants: what, values });
  return heard();
}

/** Tells the test what was seen; the program then ends by itself, as nothing of it is left open. */
export function saw(what) {
  say({ saw: what });
  process.stdin.destroy();
}

/** The first value an observable or a source gives for which something holds; fails after a while. */
export function until(subscribe, holds = () => true, seconds = 20) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(reject, new Error("nothing came in time")), seconds * 1000);
    const finish = (settle, value) => {
      clearTimeout(timer);
      settle(value);
      queueMicrotask(() => stop());
    };
    const stop = subscribe(
      (value) => holds(value) && finish(resolve, value),
      (fault) => finish(reject, fault),
    );
  });
}
