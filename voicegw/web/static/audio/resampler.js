// Changes the rate of a stream of samples by a windowed sinc filter, exactly for any two whole rates.
// Used within the audio worklets; knows nothing of calls.

// Zero crossings of the sinc on each side: flat to 6.8 kHz and 80 dB down at 8.1 kHz for a 16 kHz side.
// The delay is 32 samples of the lower rate (2 ms).
const ZEROS = 32;
const KAISER_BETA = 8;
const CUTOFF = 0.925; // of the lower rate's half

const bessel = (x) => {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
};

const greatestDivisor = (a, b) => (b ? greatestDivisor(b, a % b) : a);

export class Resampler {
  constructor(fromHz, toHz) {
    const divisor = greatestDivisor(fromHz, toHz);
    // `up` outputs for `down` inputs; positions are counted in 1/up of an input sample.
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const stretch = Math.max(1, this.down / this.up);
    this.taps = 2 * Math.ceil(ZEROS * stretch);
    this.filters = this.#makeFilters(CUTOFF / stretch);
    this.history = new Float32Array(2 * this.taps); // every sample twice: a window is always in one piece
    this.newest = 0;
    this.until = 1; // inputs still to come before the next output, in 1/up
  }

  #makeFilters(cutoff) {
    const half = this.taps / 2;
    const window = bessel(KAISER_BETA);
    return Array.from({ length: this.up }, (_, phase) => {
      const filter = new Float32Array(this.taps);
      let sum = 0;
      for (let tap = 0; tap < this.taps; tap += 1) {
        const x = tap - phase / this.up - half + 1;
        const inside = 1 - (x / half) ** 2;
        if (inside <= 0) continue;
        const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
        filter[tap] = (sinc * bessel(KAISER_BETA * Math.sqrt(inside))) / window;
        sum += filter[tap];
      }
      // Each phase passes a constant unchanged: without this the phases beat against each other.
      return filter.map((value) => value / sum);
    });
  }

  #take(sample) {
    this.newest = this.newest === 0 ? this.taps - 1 : this.newest - 1;
    this.history[this.newest] = sample;
    this.history[this.newest + this.taps] = sample;
    this.until -= this.up;
  }

  #output() {
    const filter = this.filters[-this.until];
    let sum = 0;
    for (let tap = 0, at = this.newest; tap < this.taps; tap += 1, at += 1) sum += filter[tap] * this.history[at];
    this.until += this.down;
    return sum;
  }

  /** Take samples as they come; `emit` gets each output. */
  push(samples, emit) {
    for (const sample of samples) {
      this.#take(sample);
      while (this.until <= 0) emit(this.#output());
    }
  }

  /** Fill `output`; `next` is called for each input that is needed for it. */
  pull(output, next) {
    for (let i = 0; i < output.length; i += 1) {
      while (this.until > 0) this.#take(next());
      output[i] = this.#output();
    }
  }
}
