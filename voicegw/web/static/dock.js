// The controls of a running call: mute, hold, keys, photo, typing.
import { element } from "./figures.js";
import { word } from "./i18n.js";
import { shrink } from "./photo.js";

const $ = (id) => document.getElementById(id);
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

export class Dock {
  constructor({ call, photo, changed }) {
    this.call = call;
    this.sent = photo;
    this.changed = changed;
    this.taken = null;
    this.stream = null;
    $("keys").replaceChildren(
      ...KEYS.map((key) => {
        const button = element("button", { type: "button", text: key, "data-key": key });
        button.addEventListener("click", () => this.#key(key));
        return button;
      }),
    );
    $("mute").addEventListener("click", () => this.#toggle("mute", "muted"));
    $("hold").addEventListener("click", () => this.#toggle("hold", "held"));
    $("keys-open").addEventListener("click", () => this.#open("keypad", $("keypad").hidden));
    $("photo-open").addEventListener("click", () => this.#open("photo-panel", $("photo-panel").hidden));
    $("type").addEventListener("submit", (event) => this.#type(event));
    $("photo-file").addEventListener("change", () => this.#take($("photo-file").files[0]));
    $("take").addEventListener("click", () => this.#openCamera());
    $("shoot").addEventListener("click", () => this.#take($("viewfinder")));
    $("photo-cancel").addEventListener("click", () => this.#open("photo-panel", false));
    $("photo-ask").addEventListener("submit", (event) => this.#send(event));
    document.addEventListener("keydown", (event) => this.#pressed(event));
    document.addEventListener("paste", (event) => this.#dropped(event, event.clipboardData));
    document.addEventListener("dragover", (event) => this.#running && event.preventDefault());
    document.addEventListener("drop", (event) => this.#dropped(event, event.dataTransfer));
  }

  get #running() {
    return document.body.dataset.state === "talking";
  }

  reset() {
    for (const id of ["mute", "hold"]) $(id).setAttribute("aria-pressed", "false");
    this.#open("keypad", false);
    this.#open("photo-panel", false);
    $("keyed").textContent = "";
    $("typed").value = "";
  }

  #toggle(order, state) {
    const call = this.call();
    if (!call) return;
    const on = !call[state];
    call[order](on);
    $(order).setAttribute("aria-pressed", String(on));
    this.changed();
  }

  #open(panel, on) {
    for (const [id, opener] of [
      ["keypad", "keys-open"],
      ["photo-panel", "photo-open"],
    ]) {
      const open = on && id === panel;
      $(id).hidden = !open;
      $(opener).setAttribute("aria-expanded", String(open));
    }
    if (!on || panel !== "photo-panel") this.#resetPhoto();
    if (on) $(panel).querySelector("button, input")?.focus({ preventScroll: true });
  }

  #key(key) {
    this.call()?.send({ type: "dtmf", digit: key });
    $("keyed").textContent = `${$("keyed").textContent}${key}`.slice(-18);
  }

  #pressed(event) {
    if (!this.#running || event.target === $("typed") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      const opener = $("keypad").hidden ? ($("photo-panel").hidden ? null : "photo-open") : "keys-open";
      this.#open("", false);
      if (opener) $(opener).focus({ preventScroll: true });
    } else if (!$("keypad").hidden && KEYS.includes(event.key)) {
      event.preventDefault();
      this.#key(event.key);
    }
  }

  #type(event) {
    event.preventDefault();
    const text = $("typed").value.trim();
    if (!text) return;
    this.call()?.send({ type: "text", text });
    $("typed").value = "";
  }

  // Photos

  #resetPhoto() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.taken = null;
    $("viewfinder").srcObject = null;
    $("photo-file").value = "";
    $("photo-ways").hidden = false;
    $("camera").hidden = true;
    $("preview").hidden = true;
    $("photo-problem").textContent = "";
    $("photo-text").value = "";
  }

  #photoFailed(text) {
    $("photo-problem").textContent = text;
  }

  async #openCamera() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
    } catch {
      this.#photoFailed(word("camera_refused"));
      return;
    }
    $("viewfinder").srcObject = this.stream;
    await $("viewfinder").play();
    $("photo-ways").hidden = true;
    $("camera").hidden = false;
    $("shoot").focus({ preventScroll: true });
  }

  async #take(source) {
    if (!source) return;
    $("photo-problem").textContent = "";
    try {
      this.taken = await shrink(source);
    } catch (error) {
      this.#photoFailed(word(error.message));
      return;
    }
    this.stream?.getTracks().forEach((track) => track.stop());
    const { canvas } = this.taken;
    $("photo").width = canvas.width;
    $("photo").height = canvas.height;
    $("photo").getContext("2d").drawImage(canvas, 0, 0);
    $("photo-ways").hidden = true;
    $("camera").hidden = true;
    $("preview").hidden = false;
    $("photo-text").focus({ preventScroll: true });
  }

  #dropped(event, data) {
    const file = [...(data?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (!file || !this.#running) return;
    event.preventDefault();
    this.#open("photo-panel", true);
    this.#take(file);
  }

  #send(event) {
    event.preventDefault();
    if (!this.taken) return;
    this.sent(this.taken, $("photo-text").value.trim());
    this.#open("photo-panel", false);
    $("photo-open").focus({ preventScroll: true });
  }

  /** Let the caller choose a photo: the agent asks for one. */
  askForPhoto() {
    this.#open("photo-panel", true);
  }
}
