// What every program here has in common: its arguments, and the lines that it answers with.
import { once } from "node:events";
import { basename } from "node:path";
import { argv, exit, stdin } from "node:process";
import { createInterface } from "node:readline";

const selectors = ["none", "client_id", "object_id", "resource_id"];

/**
 * Answers once, or twice with the same credential object: PROGRAM CREDENTIAL SELECTOR VALUE RESOURCE [twice]
 *
 * `credentials` maps the name of each kind to `(selector, value) => async (resource) => ({ token, expiresOn })`,
 * where `expiresOn` is a Date. What the SDK throws is an answer, a mistake in the arguments is not.
 */
export async function main(credentials) {
  const [, program, name, selector, value, resource, twice] = argv;
  if (!credentials[name] || !selectors.includes(selector) || !resource || (twice && twice !== "twice")) {
    const names = Object.keys(credentials).join("|");
    console.error(`usage: ${basename(program)} ${names} ${selectors.join("|")} VALUE RESOURCE [twice]`);
    exit(64);
  }
  let ask;
  const answer = async () => {
    try {
      ask ??= credentials[name](selector, value);
      const { token, expiresOn } = await ask(resource);
      return { token, expires_on: Math.floor(expiresOn.getTime() / 1000) };
    } catch (error) {
      return { error: inOneLine(error.message) };
    }
  };
  print(await answer());
  if (twice) {
    await aLine();
    print(await answer());
  }
}

function print(line) {
  console.log(JSON.stringify(line));
}

/** An end of input without a line leaves this unsettled, and node exits with 13. */
async function aLine() {
  const lines = createInterface({ input: stdin });
  await once(lines, "line");
  lines.close();
}

function inOneLine(text) {
  return text.split(/\s*\n\s*/).join(" ").trim();
}
