// Elements, made of text only: nothing that was said, answered or reported is ever read as HTML.

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

const REDRAWN_MS = 80; // below it nobody sees a jump, and a phone has time for everything else

// One redraw in a while, just before a frame, however much has happened.
export function perFrame(draw) {
  let due = false;
  let drawn = -REDRAWN_MS;
  const onFrame = (now) => {
    due = false;
    drawn = now;
    draw();
  };
  return () => {
    if (due) return;
    due = true;
    const wait = drawn + REDRAWN_MS - performance.now();
    if (wait <= 0) requestAnimationFrame(onFrame);
    else setTimeout(() => requestAnimationFrame(onFrame), wait);
  };
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}
