// Sends the visitor's microphone to the server.

const RATE = 16_000; // Hz; the browser resamples
const WAITING_MAX = 2 ** 20; // bytes that may wait for the network: half a minute of audio

export class Microphone {
  // Calls onBegin(session), onBlock(peak between 0 and 1) and onEnd(why). `why` is empty after stop().
  constructor({ onBegin, onBlock, onEnd }) {
    this.callbacks = { onBegin, onBlock, onEnd };
    this.over = false;
  }

  async start(session) {
    if (!navigator.mediaDevices) {
      this.#end("Browsers allow the microphone only on https pages and on localhost.");
      return;
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: false, autoGainControl: true },
      });
      this.context = new AudioContext({ sampleRate: RATE });
      await this.context.audioWorklet.addModule("/static/microphone-worklet.js");
    } catch (error) {
      this.#end(error.name === "NotAllowedError" ? "The browser was not allowed to use the microphone."
        : error.name === "NotFoundError" ? "No microphone was found."
          : `The microphone cannot be used: ${error.message}`);
      return;
    }
    if (this.over) return void this.#release();
    const url = new URL(`/api/speak?session=${encodeURIComponent(session)}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (message) => this.#begin(JSON.parse(message.data));
    this.socket.onclose = () => this.#end("The connection was lost. Earlier speech is still being sent.");
  }

  stop() {
    this.#end("");
  }

  #begin({ session, error }) {
    if (error) {
      this.#end(error);
      return;
    }
    this.callbacks.onBegin(session);
    this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data: { buffer, peak } }) => {
      this.callbacks.onBlock(peak);
      if (this.socket.readyState !== WebSocket.OPEN) return;
      if (this.socket.bufferedAmount > WAITING_MAX) this.#end("The network is too slow for speech.");
      else this.socket.send(buffer);
    };
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    for (const track of this.stream.getTracks()) {
      track.onended = () => this.#end("The microphone was disconnected.");
    }
  }

  #end(why) {
    if (this.over) return;
    this.over = true;
    this.#release();
    this.callbacks.onEnd(why);
  }

  #release() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.context?.close();
    this.socket?.close();
  }
}
