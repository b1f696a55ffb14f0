// Decodes a ThumbHash (https://evanw.github.io/thumbhash): a blurred picture in about 25 bytes.

const LONGEST_SIDE = 32;

// Reads numbers from bytes, the lowest bits first.
function reader(bytes) {
  let at = 0;
  return (width) => {
    let number = 0;
    for (let bit = 0; bit < width; bit += 1, at += 1) {
      number |= ((bytes[at >> 3] >> (at & 7)) & 1) << bit;
    }
    return number / (2 ** width - 1);
  };
}

// The cosines of a channel: those that are low in both directions, without the constant.
function terms(across, down, scale, read) {
  const found = [];
  for (let y = 0; y < down; y += 1) {
    for (let x = y ? 0 : 1; x * down < across * (down - y); x += 1) {
      found.push({ x, y, strength: 2 * scale * (2 * read(4) - 1) });
    }
  }
  return found;
}

export function decode(base64) {
  const read = reader(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  const constants = [read(6), 2 * read(6) - 1, 2 * read(6) - 1];
  const lightScale = read(5);
  const translucent = read(1) === 1;
  const shorter = Math.round(7 * read(3));
  const [yellowScale, redScale] = [1.25 * read(6), 1.25 * read(6)]; // livelier, as the author has it
  const lies = read(1) === 1;
  const [alpha, alphaScale] = translucent ? [read(4), read(4)] : [1, 0];
  const longer = translucent ? 5 : 7;
  const [across, down] = lies ? [longer, shorter] : [shorter, longer];
  const channels = [
    terms(Math.max(3, across), Math.max(3, down), lightScale, read),
    terms(3, 3, yellowScale, read),
    terms(3, 3, redScale, read),
    translucent ? terms(5, 5, alphaScale, read) : [],
  ];
  return painted([...constants, alpha], channels, across / down);
}

function painted(constants, channels, ratio) {
  const width = Math.round(ratio > 1 ? LONGEST_SIDE : LONGEST_SIDE * ratio);
  const height = Math.round(ratio > 1 ? LONGEST_SIDE / ratio : LONGEST_SIDE);
  const rgba = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const [light, yellow, red, alpha] = channels.map((channel, index) =>
        channel.reduce(
          (sum, term) =>
            sum +
            term.strength *
              Math.cos((Math.PI / width) * term.x * (x + 0.5)) *
              Math.cos((Math.PI / height) * term.y * (y + 0.5)),
          constants[index],
        ),
      );
      const b = light - (2 / 3) * yellow;
      const r = (3 * light - b + red) / 2;
      rgba.set([r, r - red, b, alpha].map((share) => 255 * share), 4 * (y * width + x));
    }
  }
  return { width, height, rgba };
}

export function toDataUrl(base64) {
  const { width, height, rgba } = decode(base64);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  return canvas.toDataURL();
}
