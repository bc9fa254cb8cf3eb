// Plays the agent's pcm: a small jitter buffer, a position that is told, pause, resume, clear, no clicks.
// Frames and orders come straight from the connection's worker, reports go back the same way.
import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const FADE = 80; // samples: 5 ms from full loudness to nothing
// The gateway sends 120 ms ahead; half of it is kept for the network's unevenness, the other half is slack.
const CUSHION = 960;
const REPORT_EVERY = 1600; // samples: 100 ms
// What may wait: far more than the gateway is ever ahead. What comes beyond that is dropped and not reported.
const MOST_WAITING = 10 * RATE_HZ;
const BLOCK = 320;
const NO_SPEECH = -1;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE_HZ, sampleRate);
    this.queue = []; // {id, pcm: Int16Array}
    this.at = 0; // in the first of them
    this.waiting = 0; // samples in the queue
    this.tail = []; // what is left of a cleared stream: it fades out
    this.gain = 0;
    this.playing = false;
    this.paused = false;
    this.held = false;
    this.sinceFirst = 0; // samples since audio waits for the cushion
    this.speeches = new Map(); // id -> {played, marked, reported}
    this.latency = 0; // samples between leaving here and being heard
    this.pulled = 0;
    this.base = null;
    this.block = new Int16Array(BLOCK);
    this.energy = 0;
    this.sounding = NO_SPEECH;
    this.trail = []; // where playing was, for as long as it takes to be heard
    this.running = true;
    this.port.onmessage = ({ data }) => this.#order(data);
  }

  #order(data) {
    if (data.line) {
      this.line = data.line;
      this.line.onmessage = ({ data: order }) => this.#order(order);
    }
    if (data.pcm) this.#add(data.id, new Int16Array(data.pcm));
    if (data.mark !== undefined) this.#speech(data.mark).marked = true;
    if (data.pause) this.#pause();
    if (data.resume) this.#resume();
    if (data.clear) this.#clear();
    if (data.hold !== undefined) this.#hold(data.hold);
    if (data.latency !== undefined) this.latency = Math.round(data.latency * RATE_HZ);
    if (data.stop) this.running = false;
  }

  #speech(id) {
    if (!this.speeches.has(id)) this.speeches.set(id, { played: 0, marked: false, reported: 0 });
    return this.speeches.get(id);
  }

  #add(id, pcm) {
    if (this.held || this.waiting > MOST_WAITING) return;
    this.#speech(id);
    this.queue.push({ id, pcm });
    this.waiting += pcm.length;
  }

  // When an order was taken, on this clock: for whoever measures how soon it is heard.
  #told(order) {
    this.port.postMessage({ order, at: this.base + this.pulled, waiting: this.waiting });
  }

  #resume() {
    this.paused = false;
    this.#told("resume");
  }

  #pause() {
    this.paused = true;
    this.#report(true);
    this.#told("pause");
  }

  // What was not heard comes again afterwards: the gateway counts from what is reported here.
  #hold(on) {
    this.held = on;
    if (on) this.#clear();
    this.line?.postMessage({ hold: on });
  }

  #clear() {
    this.#report(true);
    this.#told("clear");
    this.tail = [];
    for (let left = Math.round(this.gain * FADE); left > 0 && this.waiting > 0; left -= 1) {
      this.tail.push(this.#shift() * ((left - 1) / FADE));
    }
    this.queue = [];
    this.at = 0;
    this.waiting = 0;
    this.gain = 0;
    this.playing = false;
    this.sinceFirst = 0;
    this.paused = false;
    this.trail = [];
    // The sentence that is being heard may go on afterwards (a hold, a new connection): its count goes on too.
    const current = this.speeches.get(this.current);
    this.speeches.clear();
    if (current) {
      const played = Math.max(current.reported, current.played - this.latency);
      this.speeches.set(this.current, { played, marked: false, reported: current.reported });
    }
  }

  #shift() {
    const { id, pcm } = this.queue[0];
    const sample = pcm[this.at];
    this.at += 1;
    this.waiting -= 1;
    this.speeches.get(id).played += 1;
    this.current = id;
    if (this.at === pcm.length) {
      this.queue.shift();
      this.at = 0;
    }
    return sample;
  }

  // The next sample at 16 kHz of what is heard, silence included.
  #next() {
    const sample = this.tail.length ? this.tail.shift() : this.#live();
    const index = this.pulled % BLOCK;
    this.block[index] = sample;
    this.energy += sample * sample;
    this.pulled += 1;
    if (index === BLOCK - 1) this.#blockDone();
    return sample / 32768;
  }

  #live() {
    if (!this.playing) {
      if (this.waiting === 0 || this.paused) return 0;
      this.sinceFirst += 1;
      const last = this.queue[this.queue.length - 1];
      const whole = this.speeches.get(last.id).marked;
      if (this.waiting < CUSHION && this.sinceFirst < CUSHION && !whole) return 0;
      this.playing = true;
      this.sinceFirst = 0;
    }
    // Down before the end of what there is: should nothing follow in time, it does not break off.
    const goal = !this.paused && this.waiting > FADE ? 1 : 0;
    const step = goal > this.gain ? 1 / FADE : -1 / FADE;
    if (goal !== this.gain) this.gain = Math.max(0, Math.min(1, this.gain + step));
    if (this.paused && this.gain === 0) return 0;
    if (this.waiting === 0) {
      this.playing = false;
      this.gain = 0;
      return 0;
    }
    const sample = this.#shift() * this.gain;
    if (this.sounding !== this.current) {
      this.sounding = this.current;
      this.port.postMessage({ began: this.current, at: this.base + this.pulled });
    }
    return sample;
  }

  #blockDone() {
    const rms = Math.sqrt(this.energy / BLOCK) / 32768;
    this.energy = 0;
    const at = this.base + this.pulled - BLOCK;
    const news = { at, level: rms };
    if (this.sounding !== NO_SPEECH && this.speeches.has(this.sounding)) {
      news.speech = this.sounding;
      news.played = this.speeches.get(this.sounding).played;
    }
    const transfer = [];
    if (rms > 0) {
      news.pcm = this.block.buffer;
      transfer.push(news.pcm);
      this.block = new Int16Array(BLOCK);
    }
    // The page wants every sound, but only every second silence.
    if (rms > 0 || (this.pulled / BLOCK) % 2 === 0) this.port.postMessage(news, transfer);
  }

  // What has left here is heard `latency` later; only what was heard is told.
  #report(now) {
    const oldest = this.trail[0];
    const heard = oldest && oldest.until <= this.pulled - this.latency ? oldest : null;
    for (const [id, speech] of this.speeches) {
      const all = speech.marked && !this.queue.some((chunk) => chunk.id === id);
      const past = heard?.id === id ? heard.played : heard && heard.id > id ? speech.played : 0;
      if (all && past >= speech.played) {
        this.line?.postMessage({ played: id });
        this.speeches.delete(id);
      } else if (past > speech.reported && (now || past - speech.reported >= REPORT_EVERY)) {
        speech.reported = past;
        this.line?.postMessage({ played: id, samples: past });
      }
    }
  }

  #keepTrail() {
    if (this.current === undefined) return;
    const speech = this.speeches.get(this.current);
    if (speech) this.trail.push({ until: this.pulled, id: this.current, played: speech.played });
    while (this.trail.length > 1 && this.trail[1].until <= this.pulled - this.latency) this.trail.shift();
  }

  process(_, [output]) {
    this.base ??= Math.round((currentFrame * RATE_HZ) / sampleRate);
    this.resampler.pull(output[0], () => this.#next());
    for (let channel = 1; channel < output.length; channel += 1) output[channel].set(output[0]);
    this.#keepTrail();
    this.#report(false);
    return this.running;
  }
}

registerProcessor("playback", Playback);
