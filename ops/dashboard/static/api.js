// Requests to the server that this page came from.

export class Failed extends Error {}

async function read(response) {
  if (response.status === 401) {
    location.reload(); // the server then shows the login page
    throw new Failed("the login has expired");
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Failed(body.error ?? `the server answered ${response.status}`);
  return body;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Failed("the dashboard's server cannot be reached");
  }
  return read(response);
}

export const get = (path, options) => ask(path, options);
export const post = (path, body) => ask(path, { method: "POST", body });
