// What can go wrong, as codes that words-*.js has a sentence for. No other file looks at browser errors.

export class Problem extends Error {
  constructor(code, detail = "") {
    super(code);
    this.code = code;
    this.detail = detail;
  }
}

const MICROPHONE = {
  NotAllowedError: "microphone_refused",
  SecurityError: "microphone_refused",
  NotFoundError: "microphone_missing",
  OverconstrainedError: "microphone_missing",
  NotReadableError: "microphone_busy",
  AbortError: "microphone_busy",
};

export const microphoneProblem = (error) => new Problem(MICROPHONE[error.name] ?? "microphone_busy", error.message);

/** Why a call could not begin: a browser is not told what its WebSocket was answered, so ask by HTTP. */
export async function whyRefused(path, token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", headers });
  } catch {
    return new Problem("unreachable");
  }
  if (answer.status === 503) {
    const full = (await answer.text()).includes("in use");
    return new Problem(full ? "full" : "draining", answer.headers.get("Retry-After") ?? "");
  }
  if (answer.status === 401) return new Problem(token ? "token_wrong" : "token_needed");
  if (answer.status === 403) return new Problem("not_allowed");
  // A call would be taken, but the WebSocket did not get there, or this page's address may not call.
  if (answer.status === 426) return new Problem("blocked");
  if (answer.status === 429) return new Problem("too_many", answer.headers.get("Retry-After") ?? "");
  return new Problem("unreachable");
}

/** How a call ended that did begin; null when there is nothing to explain. */
export function endProblem(reason, code) {
  if (reason === "provider_failure") return new Problem("provider_failure");
  if (reason === "shutdown" || code === 1001) return new Problem("shutdown");
  if (reason === "internal_error" || code === 1011) return new Problem("internal_error");
  if (reason === "carrier_lost") return new Problem("lost");
  if (code === 4409) return new Problem("taken_over");
  return null;
}
