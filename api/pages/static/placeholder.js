// Shows an image before its thumbnail is there: a colour at once, a blurred picture where needed.

import { thumbHashToRGBA } from './vendor/thumbhash.js';

const whenSeen = new WeakMap();
const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
        if (isIntersecting) {
            observer.unobserve(target);
            whenSeen.get(target)();
        }
    }
});

/** Call a function once an element is visible. Returns a function that ends this. */
export function onceSeen(element, act) {
    whenSeen.set(element, act);
    observer.observe(element);
    return () => observer.unobserve(element);
}

function bytesOf(placeholder) {
    return Uint8Array.from(atob(placeholder), (one) => one.charCodeAt(0));
}

/** Return the average colour of a ThumbHash in base64, as CSS writes it. */
export function colourOf(placeholder) {
    const [first, second, third] = bytesOf(placeholder);
    const bits = first | (second << 8) | (third << 16);
    const lightness = (bits & 63) / 63;
    const yellowBlue = ((bits >> 6) & 63) / 31.5 - 1;
    const redGreen = ((bits >> 12) & 63) / 31.5 - 1;
    const blue = lightness - (2 / 3) * yellowBlue;
    const red = (3 * lightness - blue + redGreen) / 2;
    const levels = [red, red - redGreen, blue].map((one) => Math.round(255 * Math.min(1, Math.max(0, one))));
    return `rgb(${levels.join(' ')})`;
}

/** Paint a ThumbHash in base64 on a canvas, which gets its few pixels. */
export function paint(canvas, placeholder) {
    const { w, h, rgba } = thumbHashToRGBA(bytesOf(placeholder));
    canvas.width = w;
    canvas.height = h;
    canvas.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(rgba), w, h), 0, 0);
}
