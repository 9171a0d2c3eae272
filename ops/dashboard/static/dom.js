// Elements of the page. They are made of text only, so that no speech or reply is taken for HTML.

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const byId = (id) => document.getElementById(id);

const REDRAW_EVERY_MS = 80; // nobody sees a step as short as this, and a phone can keep up

// Returns a function that asks for a redraw. However often it is called, the page is redrawn once
// per REDRAW_EVERY_MS at most, just before the browser draws a frame.
export function perFrame(draw) {
  let due = false;
  let drawn = -REDRAW_EVERY_MS;
  const onFrame = (now) => {
    due = false;
    drawn = now;
    draw();
  };
  return () => {
    if (due) return;
    due = true;
    const wait = drawn + REDRAW_EVERY_MS - performance.now();
    if (wait <= 0) requestAnimationFrame(onFrame);
    else setTimeout(() => requestAnimationFrame(onFrame), wait);
  };
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
