// Reads and writes options of Safelight's own grammar, such as `box=300x200,fit=cover,blur=2`. The
// server checks them: here words are only taken apart.

export const NOTHING = '_';

/** @typedef {{name: string, texts: string[]}} Operation the texts of its arguments, in order */
/** @typedef {{words: Record<string, string>, operations: Operation[]}} Options */

/**
 * Split options into words and operations. Width and height become a box.
 * @param {string} text
 * @param {string[]} names of operations
 * @returns {Options}
 */
export function parse(text, names) {
    const words = {};
    const operations = [];
    for (const word of text && text !== NOTHING ? text.split(',') : []) {
        const [name, ...rest] = word.split('=');
        const value = rest.join('=');
        if (names.includes(name)) {
            operations.push({ name, texts: value ? value.split(':') : [] });
        } else {
            words[name] = value;
        }
    }
    const { width = '', height = '', ...others } = words;
    return { words: width || height ? { ...others, box: `${width}x${height}` } : words, operations };
}

/** Write options. A word without a value is left out. @param {Options} options */
export function write({ words, operations }) {
    const said = Object.entries(words).filter(([, value]) => value !== '');
    const done = operations.map(({ name, texts }) => [name, texts.join(':')]);
    return [...said, ...done].map(([name, value]) => (value ? `${name}=${value}` : name)).join(',') || NOTHING;
}
