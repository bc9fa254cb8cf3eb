// The page: what is clicked becomes a call's orders, what a call tells becomes what is shown.
import { Call } from "./call.js";
import { Conversation, clock } from "./conversation.js";
import { Dock } from "./dock.js";
import { TYPE_ONLY, canChooseSpeaker, fillDevices } from "./devices.js";
import { Waits, element, totalOf, waterfall } from "./figures.js";
import { choose, hasWord, languageName, seconds, speak, tongue, usual, word } from "./i18n.js";
import { Problem } from "./problems.js";
import { Player } from "./recording.js";
import { TimeLine } from "./time-line.js";

const $ = (id) => document.getElementById(id);
const stage = document.querySelector(".stage");
const timeLine = new TimeLine($("time-line"));
const conversation = new Conversation($("turns"), document.querySelector(".scroll"));
const LANGUAGES = ["vi", "en"];

let offered = { personas: [], default: "", locked: false };
let samples = [];
let call = null;
let lastSource = null;
let player = null;
let waits = new Waits();
let floor = "none"; // who speaks: none, caller, agent, thinking, undecided
let until = 0; // while reconnecting
let counts = { answers: 0, cuts: 0 };
let latency = null; // of the newest answer
let turnFrom = null; // second at which the caller's turn began that is being spoken
let files = []; // addresses of what can be saved

const dock = new Dock({
  call: () => call,
  photo: ({ blob, canvas }, text) => {
    const id = conversation.photo(canvas, text, call.now);
    call.photo(id, blob, text);
    timeLine.mark("typed", call.now);
  },
  changed: showStatus,
});

// Words and choices

function showPersonas() {
  const chosen = document.querySelector("[name=persona]:checked")?.value ?? offered.default;
  $("personas").replaceChildren(
    ...offered.personas.map(({ name, language, greeting, title }) => {
      const radio = element("input", { type: "radio", name: "persona", value: name });
      radio.checked = name === chosen;
      radio.addEventListener("change", showLanguages);
      const head = element("span", { className: "persona-head" }, element("b", { text: title || name }), element("span", { className: "tag", text: languageName(language) }));
      return element("label", { className: "persona" }, radio, head, element("q", { lang: language, text: greeting }));
    }),
  );
  showLanguages();
}

function persona() {
  const name = document.querySelector("[name=persona]:checked")?.value;
  return offered.personas.find((one) => one.name === name);
}

function showLanguages() {
  const own = persona()?.language ?? "en";
  const chosen = $("language").value;
  const others = LANGUAGES.filter((code) => code !== own.split("-")[0]);
  const options = [["", languageName(own)], ...others.map((code) => [code, languageName(code)])];
  $("language").replaceChildren(...options.map(([value, text]) => element("option", { value, text })));
  $("language").value = others.includes(chosen) ? chosen : "";
}

function showWords() {
  showPersonas();
  fillDevices($("microphone"), $("speaker"));
  const [first] = samples;
  $("sample").hidden = !first;
  $("sample-note").textContent = first ? word("sample_note", { title: first.title[tongue] ?? first.title.en }) : "";
  showStatus();
  showNumbers();
  if (latency) $("last-answer").replaceChildren(...waterfall(latency));
  timeLine.draw();
}

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Problem("unreachable");
  return answer.json();
}

async function begin() {
  speak(usual());
  $("speaker-field").hidden = !canChooseSpeaker;
  navigator.mediaDevices?.addEventListener("devicechange", () => fillDevices($("microphone"), $("speaker")));
  try {
    [offered, samples] = await Promise.all([load("/api/personas"), load("/api/samples")]);
  } catch {
    showProblem(new Problem("unreachable"));
  }
  $("token-field").hidden = !offered.locked;
  $("token").value = keptToken();
  showWords();
  document.body.dataset.loaded = "yes";
}

// A token comes with the address (#token=…, which no server is sent) or is typed; it is kept as long as the tab.
const TOKEN = "voicegw.token";
function keptToken() {
  const [, given] = location.hash.match(/^#token=(.+)$/) ?? [];
  if (given) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (given) sessionStorage.setItem(TOKEN, decodeURIComponent(given));
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return given ? decodeURIComponent(given) : "";
  }
}

function keepToken() {
  try {
    sessionStorage.setItem(TOKEN, $("token").value.trim());
  } catch {
    // Not kept, then.
  }
}

// The call

async function start(source) {
  hideProblem();
  clearEnd();
  lastSource = source;
  conversation.reset();
  timeLine.reset();
  waits = new Waits();
  counts = { answers: 0, cuts: 0 };
  latency = null;
  turnFrom = null;
  floor = "none";
  $("happenings").replaceChildren();
  $("events-card").hidden = true;
  $("verdict").hidden = true;
  $("cost").textContent = "–";
  $("last-answer").replaceChildren(element("p", { className: "small", text: word("no_answer_yet") }));
  showNumbers();
  const mine = new Call();
  call = mine;
  dock.reset();
  for (const name of Object.keys(TOLD)) mine.addEventListener(name, ({ detail }) => call === mine && TOLD[name](detail));
  try {
    const name = source.persona ?? persona()?.name ?? "";
    await mine.begin({
      persona: name,
      language: source.persona ? "" : $("language").value,
      source: source.kind === "sample" ? { url: source.url } : source.kind,
      microphone: $("microphone").value,
      speaker: canChooseSpeaker ? $("speaker").value : "",
      token: $("token").value.trim(),
    });
    // Only now do browsers tell the names.
    fillDevices($("microphone"), $("speaker"));
  } catch (error) {
    call = null;
    setState("idle");
    showProblem(error instanceof Problem ? error : new Problem(source.kind === "sample" ? "sample" : "trouble", error.message));
  }
}

const startChosen = () => start({ kind: $("microphone").value === TYPE_ONLY ? "silence" : "microphone" });

function setState(state) {
  document.body.dataset.state = state;
  if (state === "idle") setFloor("none");
  showStatus();
}

const TOLD = {
  state({ state, until: time, resumed }) {
    if (state === "reconnecting") {
      until = time;
      lostMark = timeLine.mark("lost", call.now);
    }
    if (state === "talking" && resumed && lostMark) {
      lostMark.to = call.now;
      conversation.note(word("resumed_note", { seconds: Math.round(lostMark.to - lostMark.from) }));
      lostMark = null;
    }
    setState(state);
    if (state === "talking" && !resumed) {
      waits.begin(call.now);
      run();
    }
  },
  wire(event) {
    WIRE[event.type]?.(event);
  },
  caller({ level, at }) {
    if (call.origin !== null && !call.muted && !call.held) timeLine.level("caller", call.seconds(at), level);
  },
  agent({ level, at }) {
    if (call.origin !== null) timeLine.level("agent", call.seconds(at), level);
  },
  began({ at }) {
    const second = call.seconds(at);
    const wait = waits.end(second);
    if (!wait) return;
    if (wait.ms > 0) timeLine.mark("gap", wait.from, second);
    refineLatency(wait);
    showNumbers();
  },
  progress({ speech, played }) {
    conversation.progress(speech, played);
  },
  photo({ id, share }) {
    conversation.photoSent(id, share);
    // With a question it interrupts, and is answered at once; without one it waits for the agent's last word.
    if (share === 1 && floor === "none") waits.begin(call.now);
  },
  sample({ turn, of }) {
    if (turn) happened(word("sample_turn", { turn, of }), "quiet");
  },
  problem(problem) {
    showProblem(problem);
  },
  ended: showEnd,
};
let lostMark = null;

// The gateway measures up to the first audio that leaves it. What the caller waited beyond that is ours to tell:
// network, jitter buffer, and the browser.
function refineLatency(wait) {
  if (!latency || latency.network_ms !== undefined || !call.exact) return;
  const more = wait.ms - latency.total_ms;
  // The typed and the keyed begin at other clocks.
  if (more < 0 || more > 2000) return;
  latency = { ...latency, network_ms: more };
  conversation.refine(latency);
  $("last-answer").replaceChildren(...waterfall(latency));
}

const WIRE = {
  voice_started({ at_ms: atMs }) {
    const place = call.placeOf(atMs);
    turnFrom ??= place === null ? call.now : Math.max(0, call.seconds(place));
    waits.cancel();
    setFloor(floor === "agent" ? "undecided" : "caller");
  },
  voice_stopped({ at_ms: atMs }) {
    if (floor !== "undecided") setFloor("thinking");
    const place = call.placeOf(atMs);
    waits.begin(place === null ? call.now : call.seconds(place));
  },
  transcript(event) {
    const voice = event.source === "voice";
    conversation.transcript(event, voice ? (turnFrom ?? call.now) : call.now);
    if (voice && event.status !== "partial") turnFrom = null;
    if (event.status === "rejected" && floor === "thinking") setFloor("none");
    if (event.status === "final" && event.source !== "voice") {
      timeLine.mark("typed", call.now);
      waits.begin(call.now);
      setFloor("thinking");
    }
  },
  speech_started({ kind }) {
    setFloor("agent");
    if (kind === "reply") counts.answers += 1;
    showNumbers();
  },
  reply_text(event) {
    conversation.sentence(event, call.now);
  },
  speech_stopped(event) {
    conversation.stopped(event);
    if (event.cut) {
      counts.cuts += 1;
      timeLine.mark("cut", call.now);
      showNumbers();
    }
    waits.cancel();
    setFloor(event.cut && floor !== "none" ? "caller" : "none");
  },
  resume() {
    setFloor("agent");
  },
  latency(event) {
    latency = event;
    conversation.latency(event);
    $("last-answer").replaceChildren(...waterfall(event));
  },
  rung({ rung, text, reason }) {
    happened(`${word(`rung_${rung}`)}${reason ? ` (${reason})` : ""}`, "rung", text);
  },
  tool({ name, status }) {
    const known = $("happenings").querySelector(`[data-tool="${CSS.escape(name)}"][data-status="running"]`);
    const line = known ?? happened(name, "tool");
    line.dataset.tool = name;
    line.dataset.status = status;
    line.querySelector(".more").textContent = word(`tool_${status}`);
  },
  transfer({ target, status, address }) {
    happened(word(`transfer_${status}`, { target }), "transfer");
    conversation.note(word(`transfer_${status}`, { target }));
    if (status !== "started") return;
    // A telephone bridge would connect the caller now. A page cannot, and says so rather than let them wait.
    conversation.note(word("transfer_not_here", { address }));
    call.send({ type: "transferred", done: false });
  },
  callback({ number, when }) {
    conversation.note(word("callback", { number, when }));
  },
  outcome({ code, summary }) {
    if (code !== "not_stated" || summary) happened(word("outcome", { code }), "outcome", summary);
  },
  photo_wanted({ url }) {
    const link = ownAddress(url);
    if (link) conversation.photoWanted(link, () => dock.askForPhoto());
  },
  cost({ usd, estimated }) {
    const digits = usd < 0.1 ? 4 : 2;
    const price = new Intl.NumberFormat(tongue, { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(usd);
    $("cost").textContent = estimated ? `≈ ${price}` : price;
  },
  verdict({ grade, reasons }) {
    $("grade").textContent = hasWord(`grade_${grade}`) ? word(`grade_${grade}`) : grade;
    $("verdict").dataset.grade = grade;
    const told = reasons.length ? reasons.map(inOurTongue) : [word("grade_without_reasons")];
    $("reasons").replaceChildren(...told.map((text) => element("li", { text })));
    $("verdict").hidden = false;
  },
  recording({ url }) {
    const link = ownAddress(url);
    if (!link) return;
    $("kept").href = link;
    $("kept").download = `voicegw-${call.id}.flac`;
    $("kept").hidden = false;
  },
  error({ code, message, hint }) {
    if (hasWord(`photo_refused_${code}`)) conversation.photoRefused(word(`photo_refused_${code}`));
    else conversation.note(word("gateway_says", { message, hint }), "warn");
  },
};

// The gateway writes a verdict's reasons in English.
function inOurTongue(reason) {
  const [pattern, text] = word("verdict_reasons").find(([known]) => new RegExp(known).test(reason)) ?? ["", ""];
  return pattern ? reason.replace(new RegExp(pattern), text) : reason;
}

// Links lead to this gateway only, whatever an event says.
function ownAddress(url) {
  const address = new URL(url, location.href);
  return address.origin === location.origin ? address.href : "";
}

function happened(text, kind, more = "") {
  const line = element("li", { className: kind }, element("span", { className: "figure when", text: clock(call.now) }), element("span", { text }), element("span", { className: "more", text: more }));
  $("happenings").append(line);
  $("events-card").hidden = false;
  return line;
}

// What is always to be seen

function setFloor(who) {
  floor = who;
  stage.dataset.floor = who;
  showStatus();
}

function statusName() {
  const { state } = document.body.dataset;
  if (state !== "talking") return state;
  if (call?.held) return "hold";
  if (call?.muted && floor !== "agent") return "muted";
  return floor === "none" ? "listening" : floor;
}

let shownStatus = "";
function showStatus() {
  const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  const name = statusName();
  let text = word(`state_${name}`, { seconds: left });
  if (name === "ended" && call) text = endedWord();
  stage.dataset.status = name;
  if (text === shownStatus) return;
  shownStatus = text;
  $("status").textContent = text;
}

function endedWord() {
  const reason = call.reason === "caller" ? "by_caller" : call.reason;
  return word(hasWord(`ended_${reason}`) ? `ended_${reason}` : "state_ended");
}

function showNumbers() {
  $("longest").textContent = waits.longest ? seconds(waits.longest) : "–";
  $("answers").textContent = String(counts.answers);
  $("cuts").textContent = String(counts.cuts);
}

// 20 pictures a second are smooth for bars of 80 ms, and half the work of what the screen could show.
const FRAME_MS = 50;
let lastFrame = 0;
function run(time = 0) {
  if (!call || call.state === "ended" || !call.context) return;
  requestAnimationFrame(run);
  if (time - lastFrame < FRAME_MS - 4) return;
  lastFrame = time;
  timeLine.now = call.now;
  if (lostMark) lostMark.to = call.now;
  if (call.state === "reconnecting") showStatus();
  $("clock").textContent = clock(call.now);
  timeLine.draw();
}

// The end

function showEnd({ problem, began, seconds: length }) {
  if (problem) showProblem(problem);
  if (!began) {
    call = null;
    setState("idle");
    return;
  }
  lostMark = null;
  conversation.finish();
  timeLine.now = length;
  timeLine.finish(call.tracks.seconds || length);
  $("clock").textContent = clock(length);
  $("time-line").setAttribute("aria-label", word("time_line_is", { seconds: Math.round(length), longest: seconds(waits.longest) }));
  player = new Player(call.tracks, showPlayer);
  $("seek").max = call.tracks.seconds.toFixed(1);
  const name = `voicegw-${call.id}`;
  offerFile($("save"), call.tracks.wav(), `${name}.wav`);
  offerFile($("save-words"), new Blob([`${conversation.text}\n`], { type: "text/plain" }), `${name}.txt`);
  $("player").hidden = false;
  setFloor("none");
  setState("ended");
  showPlayer();
  $("again").focus({ preventScroll: true });
}

function offerFile(link, blob, name) {
  const address = URL.createObjectURL(blob);
  files.push(address);
  link.href = address;
  link.download = name;
}

function clearEnd() {
  player?.close();
  player = null;
  files.forEach((address) => URL.revokeObjectURL(address));
  files = [];
  $("player").hidden = true;
  $("kept").hidden = true;
  $("clock").textContent = "";
}

function showPlayer() {
  if (!player) return;
  const at = player.position;
  timeLine.place = at;
  timeLine.draw();
  $("seek").value = at.toFixed(1);
  $("played").textContent = `${clock(at)} / ${clock(player.tracks.seconds)}`;
  $("play").classList.toggle("on", player.playing);
  $("play").setAttribute("aria-pressed", String(player.playing));
  if (player.playing) requestAnimationFrame(showPlayer);
}

function backToSetup() {
  clearEnd();
  hideProblem();
  call = null;
  timeLine.reset();
  setState("idle");
  $("call").focus({ preventScroll: true });
}

// Problems

const ABOUT_TOKEN = new Set(["token_needed", "token_wrong"]);
const WITH_TYPING = new Set(["microphone_refused", "microphone_missing", "microphone_busy"]);
let remedy = () => {};

function showProblem(problem) {
  const code = hasWord(`problem_${problem.code}`) ? problem.code : "trouble";
  const [title, text] = word(`problem_${code}`, { detail: problem.detail || problem.message });
  $("problem-title").textContent = title;
  $("problem-text").textContent = text;
  $("problem").dataset.code = code;
  const inCall = call !== null && call.state !== "ended";
  if (code === "version" || code === "unknown_persona") {
    remedy = () => location.reload();
    $("problem-do").textContent = word("reload");
  } else if (ABOUT_TOKEN.has(code)) {
    remedy = () => $("token").select();
    $("token-field").hidden = false;
    $("problem-do").textContent = word("token_enter");
  } else if (WITH_TYPING.has(code)) {
    remedy = () => start({ kind: "silence" });
    $("problem-do").textContent = word("without_microphone");
  } else {
    remedy = () => (lastSource ? start(lastSource) : location.reload());
    $("problem-do").textContent = word("retry");
  }
  $("problem-do").hidden = inCall || code === "insecure";
  $("problem").hidden = false;
}

function hideProblem() {
  $("problem").hidden = true;
}

// What is clicked

$("call").addEventListener("click", startChosen);
$("token").addEventListener("change", keepToken);
$("token").addEventListener("keydown", ({ key }) => key === "Enter" && startChosen());
$("sample").addEventListener("click", () => {
  const [first] = samples;
  const known = offered.personas.some(({ name }) => name === first.persona);
  start({ kind: "sample", url: `/samples/${first.file}`, persona: known ? first.persona : undefined });
});
$("hang-up").addEventListener("click", () => call?.hangUp());
$("again").addEventListener("click", () => start(lastSource));
$("back").addEventListener("click", backToSetup);
$("problem-do").addEventListener("click", () => {
  hideProblem();
  remedy();
});
$("problem-close").addEventListener("click", hideProblem);
$("play").addEventListener("click", () => (player.playing ? player.pause() : player.play()));
$("seek").addEventListener("input", () => player?.seek(Number($("seek").value)));
$("time-line").addEventListener("click", (event) => player?.seek(timeLine.secondsAt(event.offsetX)));
for (const button of document.querySelectorAll("[data-tongue]")) {
  button.addEventListener("click", () => {
    choose(button.dataset.tongue);
    showWords();
  });
}
$("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("voicegw.theme", root.dataset.theme);
  } catch {
    // Not kept, then.
  }
  timeLine.restyle();
});
window.addEventListener("pagehide", () => call?.hangUp());

begin();
