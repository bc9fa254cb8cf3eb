// One call: the audio graph, the connection's worker, and what both say, as events for the page.
// Draws nothing. Events: state, wire, caller, agent, progress, began, photo, sample, problem, ended.
import { Problem, endProblem, microphoneProblem, whyRefused } from "./problems.js";
import { SampleCaller } from "./sample-caller.js";
import { TwoTracks } from "./recording.js";

export const PROTOCOL_VERSION = 1;
export const RATE_HZ = 16000;
const PATH = "/v1/call";
const LATENCY_EVERY_MS = 1000;

const url = (name) => new URL(name, import.meta.url);

export class Call extends EventTarget {
  constructor() {
    super();
    this.state = "idle";
    this.tracks = new TwoTracks();
    this.origin = null; // the call's beginning, in samples of the context's clock
    this.muted = false;
    this.held = false;
    this.reason = "";
    this.exact = true; // the gateway's count of the caller's audio can be put on our clock
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #go(state, detail = {}) {
    if (this.state === "ended") return;
    this.state = state;
    this.#tell("state", { state, ...detail });
  }

  /**
   * Begin. `source`: "microphone", "silence" (the caller types), or a sample {url}. Throws Problem.
   * Must be called from a click: browsers let a page sound only then.
   */
  async begin({ persona, language, source, microphone, speaker, token }) {
    this.token = token;
    this.#go("ringing");
    try {
      await this.#openAudio(source, microphone, speaker);
      this.#openLine({ type: "start", persona, language, metadata: { client: "softphone" } });
    } catch (error) {
      await this.#closeAudio();
      throw error;
    }
  }

  async #openAudio(source, microphone, speaker) {
    if (!window.isSecureContext || !window.AudioWorkletNode) throw new Problem("insecure");
    this.context = new AudioContext({ latencyHint: "interactive" });
    if (source === "microphone") this.stream = await openMicrophone(microphone);
    if (speaker && this.context.setSinkId) await this.context.setSinkId(speaker).catch(() => this.#tell("problem", new Problem("speaker")));
    try {
      await this.context.audioWorklet.addModule(url("audio/microphone-worklet.js"));
      await this.context.audioWorklet.addModule(url("audio/playback-worklet.js"));
    } catch {
      throw new Problem("unreachable");
    }
    await this.context.resume();
    this.microphone = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.playback = new AudioWorkletNode(this.context, "playback", { numberOfInputs: 0, outputChannelCount: [2] });
    this.microphone.port.onmessage = ({ data }) => this.#tell("caller", data);
    this.playback.port.onmessage = ({ data }) => this.#played(data);
    this.playback.connect(this.context.destination);
    if (this.stream) {
      this.context.createMediaStreamSource(this.stream).connect(this.microphone);
      const [track] = this.stream.getAudioTracks();
      track.onended = () => this.#tell("problem", new Problem("microphone_gone"));
    } else if (source.url) {
      this.sample = new SampleCaller(this.context, this.microphone, (news) => this.#tell("sample", news));
      await this.sample.load(source.url);
    }
    this.latencyTimer = setInterval(() => this.#tellLatency(), LATENCY_EVERY_MS);
    this.#tellLatency();
  }

  #tellLatency() {
    const latency = (this.context.outputLatency || 0) + (this.context.baseLatency || 0);
    this.playback.port.postMessage({ latency });
  }

  #openLine(start) {
    this.worker = new Worker(url("link-worker.js"), { type: "module" });
    const ports = [this.microphone, this.playback].map((node) => {
      const { port1, port2 } = new MessageChannel();
      node.port.postMessage({ line: port1 }, [port1]);
      return port2;
    });
    const address = new URL(PATH, location.href);
    address.protocol = address.protocol.replace("http", "ws");
    // A browser's WebSocket can send no header.
    if (this.token) address.searchParams.set("token", this.token);
    this.worker.onmessage = ({ data }) => this.#line(data);
    this.worker.postMessage({ open: { url: address.href, start, ports } }, ports);
    this.offline = () => this.worker.postMessage({ offline: true });
    window.addEventListener("offline", this.offline);
  }

  #line({ wire, firstSent, sent, at, lost, closed, photo }) {
    if (wire) this.#wire(wire, firstSent);
    if (sent) this.tracks.keep("caller", at - this.#originOr(at), sent);
    if (lost) {
      this.exact = false;
      this.#go("reconnecting", lost);
    }
    if (photo) this.#tell("photo", photo);
    if (closed) this.#closed(closed);
  }

  #originOr(at) {
    this.origin ??= at;
    return this.origin;
  }

  #wire(event, firstSent) {
    if (firstSent !== null) this.firstSent = firstSent;
    if (event.type === "ready") {
      if (event.protocol !== PROTOCOL_VERSION) {
        this.#fail(new Problem("version", String(event.protocol)));
        return;
      }
      this.id = event.call_id;
      this.#go("talking", { resumed: event.resumed });
    }
    if (event.type === "hangup") this.reason = event.reason;
    if (this.sample) this.sample.heard(event);
    this.#tell("wire", event);
  }

  #played(news) {
    if (news.pcm && this.origin !== null) this.tracks.keep("agent", news.at - this.origin, news.pcm);
    if (news.began !== undefined) this.#tell("began", news);
    if (news.level !== undefined) this.#tell("agent", news);
    if (news.speech !== undefined) this.#tell("progress", news);
  }

  /** Where `at_ms` of the gateway's count of the caller's audio lies on the context's clock; null: unknown. */
  placeOf(atMs) {
    return this.exact && this.firstSent !== undefined ? this.firstSent + (atMs * RATE_HZ) / 1000 : null;
  }

  /** Seconds since the call's beginning, of a place on the context's clock. */
  seconds(at) {
    return this.origin === null ? 0 : (at - this.origin) / RATE_HZ;
  }

  get now() {
    return this.context ? this.seconds(this.context.currentTime * RATE_HZ) : 0;
  }

  async #closed({ code, begun, gaveUp }) {
    if (this.state === "ended") return;
    const problem = gaveUp ? new Problem("lost") : begun ? endProblem(this.reason, code) : await whyRefused(PATH, this.token);
    await this.#end(code === 1008 ? new Problem("unknown_persona") : problem);
  }

  async #fail(problem) {
    this.worker.postMessage({ hangUp: true });
    await this.#end(problem);
  }

  async #end(problem) {
    if (this.state === "ended") return;
    const began = this.id !== undefined;
    const seconds = this.now;
    this.#go("ended");
    await this.#closeAudio();
    // The verdict may come behind `hangup`: the worker lives until the connection is closed, as it is now.
    this.worker?.terminate();
    this.#tell("ended", { problem, began, reason: this.reason, seconds });
  }

  async #closeAudio() {
    clearInterval(this.latencyTimer);
    if (this.offline) window.removeEventListener("offline", this.offline);
    this.sample?.stop();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.microphone?.port.postMessage({ stop: true });
    this.playback?.port.postMessage({ stop: true });
    const context = this.context;
    this.context = null;
    if (context && context.state !== "closed") await context.close();
  }

  // What the caller can do

  mute(on) {
    this.muted = on;
    this.#setMicrophone();
  }

  hold(on) {
    this.held = on;
    this.#setMicrophone();
    this.playback?.port.postMessage({ hold: on });
    this.sample?.hold(on);
  }

  #setMicrophone() {
    this.microphone?.port.postMessage({ mute: this.muted || this.held });
  }

  send(event) {
    this.worker?.postMessage({ send: event });
  }

  /** Send a photo, a Blob, and what is asked about it; `photo` events tell {id, share} of it that has gone. */
  async photo(id, blob, text) {
    const bytes = await blob.arrayBuffer();
    this.worker?.postMessage({ photo: { id, bytes, type: blob.type, text } }, [bytes]);
  }

  hangUp() {
    this.reason ||= "caller";
    if (this.worker) this.worker.postMessage({ hangUp: true });
    else this.#end(null);
  }
}

async function openMicrophone(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Problem("insecure");
  const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  if (deviceId) audio.deviceId = { exact: deviceId };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw microphoneProblem(error);
  }
}
