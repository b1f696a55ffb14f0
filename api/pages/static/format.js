// Writes numbers, sizes and names for people.

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
const MEBIBYTE = 1024 * 1024;
const TAIL = 9;
const FORMATS = { jpeg: 'JPEG', webp: 'WebP' };
const MONTH = new Intl.DateTimeFormat('en', { month: 'long', year: 'numeric' });
const DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });
const CHARACTERS = new Intl.Segmenter('en');
const MOMENT = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

/** Return the name of a format for people, such as `WebP`. */
export const formatName = (name) => FORMATS[name] ?? name.toUpperCase();

export const month = (time) => MONTH.format(new Date(time));
export const day = (time) => DAY.format(new Date(time));
export const moment = (time) => MOMENT.format(new Date(time));

/** Return a size such as `4.97 MB`, of 1000 kB each. */
export function bytes(count) {
    let power = 0;
    while (power < UNITS.length - 1 && count / 1000 ** power >= 999.5) {
        power += 1;
    }
    return new Intl.NumberFormat('en', {
        style: 'unit',
        unit: UNITS[power],
        unitDisplay: power ? 'short' : 'long',
        maximumSignificantDigits: 3,
    }).format(count / 1000 ** power);
}

/** Return a limit as operators set it: 64 MB is 64 times 1024 times 1024 bytes. */
export function limit(count) {
    return count % MEBIBYTE === 0 ? bytes((count / MEBIBYTE) * 1000 * 1000) : bytes(count);
}

/** Return a share of 100, such as `56.5%`. */
export function percent(share, digits = 0) {
    return new Intl.NumberFormat('en', { style: 'percent', maximumFractionDigits: digits }).format(share / 100);
}

/**
 * Split a name, so that narrow pages can leave out its middle: names of one camera differ at
 * the end. Graphemes are never split.
 */
export function halves(name) {
    const characters = Array.from(CHARACTERS.segment(name), (one) => one.segment);
    const at = Math.max(0, characters.length - TAIL);
    return [characters.slice(0, at).join(''), characters.slice(at).join('')];
}
