// Runs in the audio thread. Makes s16le of samples between -1 and 1, in blocks of 64 ms, and gives
// the peak of each block.

const BLOCK = 1024; // samples at 16 kHz

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.peak = 0;
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(clipped));
      this.block[this.filled++] = Math.round(clipped * 32_767);
      if (this.filled === BLOCK) {
        const { buffer } = this.block;
        this.port.postMessage({ buffer, peak: this.peak }, [buffer]);
        this.block = new Int16Array(BLOCK);
        this.filled = 0;
        this.peak = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
