// Two voices on one time line: the caller above it, the agent below, and between them what was waited for.
// While the call runs the newest seconds are shown; afterwards all of it, with a place in it.
import { seconds as written } from "./i18n.js";

const BAR_S = 0.08; // one bar
const BAR_PX = 5; // with the gap behind it
const BAR_WIDTH = 3;
const MOST_BARS = (45 * 60) / BAR_S;
// A wait shorter than this is how people talk; it is not worth a label.
const LABELLED_MS = 400;
// Quiet rooms and breath stay a flat line.
const FLOOR = 0.004;

export class TimeLine {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.reset();
    new ResizeObserver(() => this.#resized()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    this.restyle();
  }

  reset() {
    this.bars = { caller: [], agent: [] };
    this.marks = []; // {kind: "gap" | "cut" | "lost" | "typed", from, to}
    this.now = 0;
    this.whole = 0; // seconds of the finished call; 0 while it runs
    this.place = 0;
    this.draw();
  }

  restyle() {
    const style = getComputedStyle(this.canvas);
    this.ink = Object.fromEntries(
      ["caller", "agent", "line", "soft", "ink", "danger"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.font = `500 12px ${style.fontFamily}`;
    this.draw();
  }

  #resized() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const dense = Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.pen.setTransform(dense, 0, 0, dense, 0, 0);
    this.width = width;
    this.height = height;
    this.draw();
  }

  /** The loudness (rms, 0 to 1) of a side at a second of the call. */
  level(side, at, rms) {
    const index = Math.floor(at / BAR_S);
    if (index < 0 || index > MOST_BARS) return;
    this.bars[side][index] = Math.max(this.bars[side][index] ?? 0, rms);
  }

  mark(kind, from, to = from) {
    const mark = { kind, from, to };
    this.marks.push(mark);
    return mark;
  }

  /** The call is over: show all of it. */
  finish(seconds) {
    this.whole = Math.max(1, seconds);
    this.draw();
  }

  #scale() {
    if (this.whole) return { from: 0, perSecond: this.width / this.whole };
    const perSecond = BAR_PX / BAR_S;
    // Now is a little left of the edge, so that the newest sound is not glued to it.
    return { from: this.now - (this.width - 28) / perSecond, perSecond };
  }

  secondsAt(x) {
    const { from, perSecond } = this.#scale();
    return from + x / perSecond;
  }

  draw() {
    const { pen, width, height, ink } = this;
    if (!width || !ink) return;
    const scale = this.#scale();
    const x = (at) => (at - scale.from) * scale.perSecond;
    const middle = Math.round(height / 2) + 0.5;
    pen.clearRect(0, 0, width, height);
    pen.font = this.font;
    if (!this.now && !this.whole) this.#ghost(middle);
    this.#ruler(x, scale, middle);
    this.#voice("caller", x, scale, middle, -1);
    this.#voice("agent", x, scale, middle, 1);
    let lastLabel = -Infinity;
    for (const mark of this.marks) {
      if (x(mark.to) < -80 || x(mark.from) > width) continue;
      lastLabel = this.#mark(mark, x, middle, lastLabel);
    }
    if (this.whole) this.#needle(x(this.place), ink.ink);
    else if (this.now) this.#needle(x(this.now), ink.line);
  }

  // Before the first call: the outline of a conversation, so that an empty box explains itself.
  #ghost(middle) {
    const { pen, width, height, ink } = this;
    const room = height / 2 - 22;
    pen.fillStyle = ink.line;
    for (let bar = 0; bar * BAR_PX < width; bar += 1) {
      const place = bar % 64;
      const side = place < 22 ? -1 : place > 27 && place < 60 ? 1 : 0;
      if (!side) continue;
      const tall = room * (0.2 + 0.65 * Math.abs(Math.sin(bar * 0.9) * Math.sin(bar * 0.23)));
      pen.beginPath();
      pen.roundRect(bar * BAR_PX, side < 0 ? middle - 4 - tall : middle + 4, BAR_WIDTH, tall, 1.5);
      pen.fill();
    }
  }

  #needle(at, colour) {
    this.pen.fillStyle = colour;
    this.pen.fillRect(Math.round(at), 8, 1.5, this.height - 16);
  }

  #ruler(x, scale, middle) {
    const { pen, width, height, ink } = this;
    pen.fillStyle = ink.line;
    pen.fillRect(0, middle - 0.5, width, 1);
    const every = [1, 2, 5, 10, 30, 60, 300].find((step) => step * scale.perSecond > 56) ?? 600;
    pen.fillStyle = ink.soft;
    pen.textAlign = "center";
    for (let at = Math.max(0, Math.ceil(scale.from / every) * every); x(at) < width; at += every) {
      if (!this.now && !this.whole) break;
      const label = `${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}`;
      if (x(at) > 16 && x(at) < width - 16) pen.fillText(label, x(at), height - 3);
      pen.fillRect(x(at), middle - 3, 1, 6);
    }
  }

  #voice(side, x, scale, middle, direction) {
    const { pen, width, height } = this;
    const room = height / 2 - 22;
    const bars = this.bars[side];
    const step = Math.max(BAR_S, BAR_PX / scale.perSecond);
    pen.fillStyle = this.ink[side];
    // Bars keep their place in the call while it moves: otherwise they would flicker.
    for (let group = Math.max(0, Math.floor(scale.from / step)); x(group * step) < width; group += 1) {
      let loud = 0;
      const last = Math.ceil(((group + 1) * step) / BAR_S);
      for (let i = Math.floor((group * step) / BAR_S); i < last; i += 1) loud = Math.max(loud, bars[i] ?? 0);
      if (group * step > (this.whole || this.now)) break;
      if (loud < FLOOR) continue;
      // Loudness as the ear takes it: 48 dB of range.
      const tall = Math.max(2, Math.min(1, 1 + (20 * Math.log10(loud * 3)) / 40) * room);
      const top = direction < 0 ? middle - 4 - tall : middle + 4;
      pen.beginPath();
      pen.roundRect(x(group * step), top, BAR_WIDTH, tall, 1.5);
      pen.fill();
    }
  }

  #mark({ kind, from, to }, x, middle, lastLabel) {
    const { pen, ink, height } = this;
    if (kind === "gap") {
      const ms = (to - from) * 1000;
      pen.fillStyle = ink.ink;
      pen.fillRect(x(from), middle - 1, x(to) - x(from), 2);
      pen.fillRect(x(from), middle - 5, 1.5, 10);
      pen.fillRect(x(to), middle - 5, 1.5, 10);
      const at = (x(from) + x(to)) / 2;
      const label = written(ms);
      const half = pen.measureText(label).width / 2;
      if (ms < LABELLED_MS || at - half < lastLabel + 6) return lastLabel;
      pen.textAlign = "center";
      pen.fillText(label, at, middle - 17);
      return at + half;
    }
    if (kind === "lost") {
      pen.fillStyle = ink.danger;
      pen.globalAlpha = 0.14;
      pen.fillRect(x(from), 8, Math.max(2, x(to) - x(from)), height - 24);
      pen.globalAlpha = 1;
    } else {
      pen.fillStyle = kind === "cut" ? ink.danger : ink.caller;
      pen.fillRect(x(from), kind === "cut" ? middle + 2 : middle - 14, 2, kind === "cut" ? height / 2 - 22 : 12);
    }
    return lastLabel;
  }
}
