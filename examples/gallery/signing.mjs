// Signs URLs of private pictures, as signing.py does. For a server: the secret must never reach a browser.

import { createHmac } from "node:crypto";

function escaped(text) {
  const hex = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

export function signed(path, { keyId, secret, expires, query = {} }) {
  const parameters = Object.entries({ ...query, expires: String(expires), key: keyId })
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join("&");
  const text = ["safelight-1", path, parameters].join("\n");
  const signature = createHmac("sha256", secret).update(text).digest("base64url");
  const where = encodeURI(path).replace(/[?#]/g, encodeURIComponent);
  return `${where}?${parameters}&signature=${signature}`;
}
