// The conversation as it is heard: the caller's turns, and the agent's words one by one as they are spoken.
import { bar, element, list, totalOf } from "./figures.js";
import { hasWord, seconds, word } from "./i18n.js";

// Until a sentence has ended its length is guessed from the speed of those before it (samples a character).
const FIRST_GUESS = 16000 / 15;

export class Conversation {
  constructor(list_, scroll) {
    this.list = list_;
    this.scroll = scroll;
    this.reset();
  }

  reset() {
    this.list.replaceChildren();
    this.partial = null;
    this.photos = []; // {item, way}
    this.reply = null; // {id, item, text, sentences: [{id, words, length}]}
    this.sentences = new Map();
    this.perChar = FIRST_GUESS;
    this.lines = []; // for the transcript that can be saved
  }

  // Who reads the newest goes on doing so; who has scrolled away is left alone.
  #stick(change) {
    const { scroll, list } = this;
    if (getComputedStyle(scroll).overflowY !== "visible") {
      const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
      change();
      if (atEnd) scroll.scrollTop = scroll.scrollHeight;
      return;
    }
    // On a small screen the page scrolls, under the time line and behind the controls.
    const end = list.lastElementChild?.getBoundingClientRect().bottom ?? 0;
    const seen = !list.lastElementChild || (end > innerHeight * 0.3 && end < innerHeight);
    change();
    if (seen) list.lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  #turn(side, label, at) {
    const item = element("li", { className: `turn ${side}` });
    const head = element("p", { className: "turn-head" }, element("b", { text: word(side === "caller" ? "you" : "agent") }));
    if (at !== null) head.append(element("span", { className: "figure", text: clock(at) }));
    if (label) head.append(element("span", { className: "tag", text: label }));
    item.append(head);
    this.#stick(() => this.#place(item, at));
    return item;
  }

  // In the order of speaking: the words of a turn may come behind the filler that was said while it was understood.
  #place(item, at) {
    item.dataset.at = at;
    let before = this.list.lastElementChild;
    while (at !== null && before && Number(before.dataset.at) > at) before = before.previousElementSibling;
    if (before) before.after(item);
    else this.list.prepend(item);
  }

  #dropPartial() {
    this.partial?.remove();
    this.partial = null;
  }

  transcript({ status, text, reason, source }, at) {
    if (status === "partial") {
      if (!this.partial) {
        this.partial = this.#turn("caller", "", at);
        this.partial.classList.add("partial");
        this.partial.setAttribute("aria-hidden", "true");
        this.partial.append(element("p", { className: "said" }));
      }
      this.#stick(() => (this.partial.lastChild.textContent = text));
      return;
    }
    this.#dropPartial();
    if (status === "rejected") {
      const why = word(hasWord(`rejected_${reason}`) ? `rejected_${reason}` : "rejected");
      this.note(text ? `${text} (${why})` : why, "rejected");
      return;
    }
    const item = this.#turn("caller", source === "voice" ? "" : word(`source_${source}`), at);
    this.#stick(() => item.append(element("p", { className: "said", text })));
    this.lines.push({ at, side: "you", text });
  }

  /** Show a photo that is being sent; returns its id. */
  photo(canvas, text, at) {
    const item = this.#turn("caller", word("source_photo"), at);
    canvas.className = "shown";
    const way = element("p", { className: "small way", role: "status", text: word("photo_sending", { percent: 0 }) });
    this.#stick(() => item.append(canvas, way));
    this.photos.push({ item, way });
    this.lines.push({ at, side: "you", text: `[${word("photo")}] ${text}`.trim() });
    return this.photos.length - 1;
  }

  photoSent(id, share) {
    const photo = this.photos[id];
    if (share < 1) photo.way.textContent = word("photo_sending", { percent: Math.round(100 * share) });
    else photo.way.hidden = true;
  }

  /** The gateway has refused the newest photo. */
  photoRefused(why) {
    const photo = this.photos.at(-1);
    if (!photo) return;
    photo.item.classList.add("refused");
    photo.way.className = "warn";
    photo.way.hidden = false;
    photo.way.textContent = why;
  }

  /** The agent asks for a photo: by a button here, or by its link, for instance from a telephone. */
  photoWanted(link, choose) {
    const button = element("button", { type: "button", className: "quiet", text: word("send_a_photo") });
    button.addEventListener("click", choose);
    const address = element("a", { href: link, target: "_blank", rel: "noopener", text: word("photo_link") });
    const way = element("p", { className: "row-start" }, button, address);
    this.#stick(() => this.list.append(element("li", { className: "wanted" }, element("p", { text: word("photo_wanted") }), way)));
  }

  note(text, kind = "") {
    this.#stick(() => this.list.append(element("li", { className: `note ${kind}`, text })));
  }

  /** A sentence whose audio follows. */
  sentence({ reply_id: replyId, speech_id: id, kind, text }, at) {
    this.#dropPartial();
    if (this.sentences.has(id)) return; // told again after a reconnect
    if (this.reply?.id !== replyId) {
      const item = this.#turn("agent", hasWord(`kind_${kind}`) ? word(`kind_${kind}`) : "", at);
      const said = element("p", { className: "said" });
      item.append(said);
      this.reply = { id: replyId, item, said, sentences: [], line: { at, side: "agent", text: "" } };
      this.lines.push(this.reply.line);
      if (this.waited) this.#wait(item);
    }
    const words = text.split(/\s+/).filter(Boolean).map((part) => element("span", { className: "word", text: part }));
    this.#stick(() => words.forEach((part) => this.reply.said.append(part, " ")));
    const sentence = { id, words, characters: text.length, played: 0, ended: false };
    this.reply.sentences.push(sentence);
    this.sentences.set(id, sentence);
    this.reply.line.text += `${this.reply.line.text ? " " : ""}${text}`;
  }

  /** `played` samples of a sentence were heard. */
  progress(id, played) {
    const sentence = this.sentences.get(id);
    if (!sentence || sentence.ended) return;
    sentence.played = played;
    const share = played / (sentence.characters * this.perChar);
    let characters = share * sentence.characters;
    for (const part of sentence.words) {
      characters -= part.textContent.length + 1;
      if (characters < 0) break;
      part.classList.add("spoken");
    }
    const at = this.reply?.sentences.indexOf(sentence) ?? -1;
    for (let i = 0; i < at; i += 1) this.#ended(this.reply.sentences[i]);
  }

  #ended(sentence) {
    if (sentence.ended) return;
    sentence.ended = true;
    sentence.words.forEach((part) => part.classList.add("spoken"));
    if (sentence.played > 4000) this.perChar = sentence.played / sentence.characters;
  }

  /** The agent has stopped: what lies behind `heard` never reached the caller. */
  stopped({ reply_id: replyId, heard, cut }) {
    const reply = this.reply;
    if (reply?.id !== replyId) return;
    if (!cut) {
      reply.sentences.forEach((sentence) => this.#ended(sentence));
      return;
    }
    let left = heard.split(/\s+/).filter(Boolean).length;
    for (const sentence of reply.sentences) {
      sentence.ended = true;
      for (const part of sentence.words) {
        part.classList.toggle("spoken", left > 0);
        part.classList.toggle("unheard", left <= 0);
        left -= 1;
      }
    }
    reply.item.querySelector(".turn-head").append(element("span", { className: "tag cut", text: word("interrupted") }));
    const lost = reply.said.querySelectorAll(".unheard");
    if (lost.length) this.#stick(() => reply.said.append(element("span", { className: "unheard-tag", text: word("unheard") })));
    reply.line.text = `${heard} […]`;
  }

  /** Where the wait before the reply that begins now went. Comes just before its first sentence. */
  latency(latency) {
    this.waited = latency;
  }

  /** The page has learnt more of the last wait. */
  refine(latency) {
    if (this.waitItem && this.waitItem.exchange === latency.exchange) this.#fillWait(latency);
  }

  #wait(item) {
    const details = element("details", { className: "wait" });
    item.append(details);
    this.waitItem = { details, exchange: this.waited.exchange };
    this.#fillWait(this.waited);
    this.waited = null;
  }

  #fillWait(latency) {
    const summary = element("summary", {}, element("span", { className: "figure", text: word("gap_label", { seconds: seconds(totalOf(latency)) }) }), bar(latency));
    this.waitItem.details.replaceChildren(summary, list(latency));
  }

  /** The call is over: what was not understood to its end stays unsaid. */
  finish() {
    this.#dropPartial();
  }

  /** The transcript as plain text. */
  get text() {
    return this.lines.map(({ at, side, text }) => `${at === null ? "" : `${clock(at)}  `}${word(side)}: ${text}`).join("\n");
  }
}

export const clock = (at) => `${Math.floor(Math.max(0, at) / 60)}:${String(Math.floor(Math.max(0, at) % 60)).padStart(2, "0")}`;
