// Loads parts of a page when they are first shown.

import { html, signal, useEffect } from './vendor/preact.js';
import { t } from './words.js';

/**
 * Return a component that imports another one, by its name in its module, when it is first shown.
 * @param {() => Promise<Record<string, any>>} load
 * @param {string} name
 */
export function lazy(load, name) {
    const loaded = signal(null);
    return (given) => {
        useEffect(() => {
            if (!loaded.value) {
                load().then((module) => (loaded.value = module[name]), () => (loaded.value = Gone));
            }
        }, []);
        const Part = loaded.value;
        return Part && html`<${Part} ...${given} />`;
    };
}

/** Call a function when the browser has nothing else to do. */
export const whenIdle = globalThis.requestIdleCallback ?? setTimeout;

/** A new version of the server has other files, and without a connection there are none. */
function Gone() {
    const see = (element) => element?.scrollIntoView({ block: 'nearest' });
    return html`<p role="alert" class="bad" ref=${see}>${t('site.gone')} <button type="button" onClick=${() => location.reload()}>${t('site.again')}</button></p>`;
}
