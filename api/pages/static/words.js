// Every visible text of the pages; those that one page alone needs are in words-*.js. `?words=pseudo`
// marks each of them, so that a test finds texts that are written elsewhere.

const WORDS = {
    'site.name': 'Safelight',
    'site.skip': 'Skip to the content',
    'site.pages': 'Pages',
    'site.anonymous': 'No sign-in: this server answers only this machine',
    'site.failed': 'The page cannot be shown: {reason}',
    'site.again': 'Try again',
    'site.unreachable': 'the server cannot be reached',
    'site.gone': 'A part of this page cannot be loaded: the server has a newer version, or it cannot be reached.',

    'signin.out': 'Sign out',
    'signin.as': 'Signed in as',
    'signin.ended': 'Your session has ended. This page waits until you have signed in again in a new tab.',
    'signin.again': 'Sign in again',
    'signin.waiting': 'Waiting: sign in again',

    'pictures.title': 'Pictures',

    'play.title': 'Playground',

    'keys.title': 'Keyboard',
    'keys.on': 'Use these keys',
    'keys.close': 'Close',
    'keys.help': 'Show the keys',
    'keys.choose': 'Choose files',
    'keys.search': 'Search by file name',
    'keys.move': 'Move between the pictures of the grid; Enter opens one',
    'keys.note': 'Keys do nothing while you type in a field.',

    'copy.copy': 'Copy',
    'copy.copied': 'Copied',
    'copy.name': 'Copy {name}',
    'copy.said': '{name} copied',
    'copy.failed': 'Not copied: select the text',
};

const ACCENTED = { a: 'á', e: 'é', i: 'í', o: 'ó', u: 'ú', A: 'Á', E: 'É', I: 'Í', O: 'Ó', U: 'Ú' };
/** Letters and marks that turn the direction of a text, such as those of an Arabic file name. */
const TURNS = /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const pseudo = new URLSearchParams(location.search).get('words') === 'pseudo';
const plurals = new Intl.PluralRules('en');
const numbers = new Intl.NumberFormat('en');

/** Add the texts of a page, which others need not load. */
export function define(words) {
    Object.assign(WORDS, words);
}

/**
 * Return a text by its key, with values in place of `{name}`. A text with plural forms is chosen by
 * the value `n`. Numbers are written with separators, and a value that is written from right to left
 * is isolated. Throws an error for an unknown key.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
    const found = WORDS[key];
    if (found === undefined) {
        throw new Error(`words.js has no ${key}`);
    }
    const text = typeof found === 'string' ? found : found[plurals.select(Number(values.n))];
    const filled = (pseudo ? marked(text) : text).replace(/\{([A-Za-zÀ-ÿ]+)\}/g, (_, name) => {
        const value = values[name];
        return typeof value === 'number' ? numbers.format(value) : isolated(String(value));
    });
    return pseudo ? `⟦${filled}⟧` : filled;
}

/** Keep the direction of a value from the text around it. */
const isolated = (value) => (TURNS.test(value) ? `\u2068${value}\u2069` : value);

/** Accent the letters of a text, but not the names of its values. */
function marked(text) {
    return text
        .split(/(\{\w+\})/)
        .map((part) => (part.startsWith('{') ? part : part.replace(/[aeiouAEIOU]/g, (one) => ACCENTED[one])))
        .join('');
}
