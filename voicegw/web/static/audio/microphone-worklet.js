// From whatever plays into it (microphone, sample caller, nothing) to frames of 16 kHz pcm.
// Frames go straight to the connection's worker; the page only gets levels.
import { Resampler } from "./resampler.js";

const RATE_HZ = 16000;
const FRAME = 320; // 20 ms
const FADE = 1 / 80; // per sample: 5 ms, so that muting does not click

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
    this.loudest = 0;
    this.gain = 1;
    this.open = 1;
    this.frames = 0;
    this.base = null; // of the first sample, in 1/16000 s of the context's clock
    this.silence = new Float32Array(128);
    this.running = true;
    this.port.onmessage = ({ data }) => {
      if (data.line) this.line = data.line;
      if (data.mute !== undefined) this.open = data.mute ? 0 : 1;
      if (data.stop) this.running = false;
    };
  }

  process([input]) {
    this.base ??= Math.round((currentFrame * RATE_HZ) / sampleRate);
    this.resampler.push(this.#mono(input), (sample) => this.#take(sample));
    return this.running;
  }

  #mono(channels) {
    if (channels.length === 0) return this.silence;
    if (channels.length === 1) return channels[0];
    return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
  }

  #take(sample) {
    this.gain += Math.max(-FADE, Math.min(FADE, this.open - this.gain));
    const value = Math.max(-32768, Math.min(32767, Math.round(sample * this.gain * 32767)));
    this.frame[this.filled] = value;
    this.filled += 1;
    this.energy += value * value;
    if (this.filled === FRAME) this.#send();
  }

  #send() {
    const rms = Math.sqrt(this.energy / FRAME) / 32768;
    this.loudest = Math.max(this.loudest, rms);
    const at = this.base + this.frames * FRAME;
    this.frames += 1;
    if (this.frames % 2 === 0) {
      this.port.postMessage({ level: this.loudest, at });
      this.loudest = 0;
    }
    const pcm = this.frame.buffer;
    this.line?.postMessage({ pcm, at }, [pcm]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor("microphone", Microphone);
