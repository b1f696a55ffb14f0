// A button that copies a text.

import { say } from './shell.js';
import { html, useEffect, useState } from './vendor/preact.js';
import { t } from './words.js';

const SECONDS_OF_A_COPY = 2;

/** `name` says what is copied, to those who do not see it beside the button. */
export function Copy({ text, name }) {
    const [state, setState] = useState('');
    useEffect(() => {
        const timer = setTimeout(() => setState(''), 1000 * SECONDS_OF_A_COPY);
        return () => clearTimeout(timer);
    }, [state]);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
            setState('copied');
            say(t('copy.said', { name }));
        } catch {
            setState('failed'); // the browser forbids it: the text can be selected
            say(t('copy.failed'));
        }
    };
    const word = { '': 'copy.copy', copied: 'copy.copied', failed: 'copy.failed' }[state];
    return html`<button type="button" aria-label=${state ? undefined : t('copy.name', { name })} onClick=${copy}>${t(word)}</button>`;
}
