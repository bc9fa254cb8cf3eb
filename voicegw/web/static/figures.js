// The waterfall of a wait, and the numbers of the call.
import { seconds, word } from "./i18n.js";

const STAGES = ["end_of_turn", "transcription", "first_token", "first_sentence", "speech", "network"];

export function element(name, { className = "", text = "", ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Consecutive stages of a `latency` event; `network_ms` is the page's own addition, where it knows it. */
export const stagesOf = (latency) =>
  STAGES.map((name) => ({ name, ms: latency[`${name}_ms`] })).filter(({ ms }) => ms !== undefined);

export const totalOf = (latency) => latency.total_ms + (latency.network_ms ?? 0);

export function bar(latency) {
  const strip = element("span", { className: "strip", "aria-hidden": "true" });
  for (const { name, ms } of stagesOf(latency)) {
    const part = element("i", { className: `stage-${name}` });
    part.style.flexGrow = String(ms);
    strip.append(part);
  }
  return strip;
}

export function list(latency) {
  const rows = stagesOf(latency).map(({ name, ms }) =>
    element(
      "li",
      { className: ms < 1 ? "none" : "" },
      element("i", { className: `dot stage-${name}`, "aria-hidden": "true" }),
      element("span", { text: word(`stage_${name}`) }),
      element("b", { className: "figure", text: `${Math.round(ms)} ms` }),
    ),
  );
  return element("ol", { className: "stages" }, ...rows);
}

export function waterfall(latency) {
  return [element("p", { className: "big figure", text: seconds(totalOf(latency)) }), bar(latency), list(latency)];
}

/** The caller's waits for the agent, as they are heard. */
export class Waits {
  constructor() {
    this.since = null; // second of the call from which the caller waits
    this.longest = 0; // ms
  }

  begin(at) {
    this.since = at;
  }

  /** The agent sounds at `at`: the wait that ends, {from, ms}, or null. */
  end(at) {
    if (this.since === null) return null;
    const wait = { from: this.since, ms: Math.max(0, (at - this.since) * 1000) };
    this.since = null;
    this.longest = Math.max(this.longest, wait.ms);
    return wait;
  }

  cancel() {
    this.since = null;
  }
}
