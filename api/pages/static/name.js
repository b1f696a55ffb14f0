// A file name whose middle a narrow page leaves out. It is whole for screen readers, and in the title.

import { halves } from './format.js';
import { html } from './vendor/preact.js';

export function Name({ name }) {
    const [start, end] = halves(name);
    return html`<span class="name" dir="auto" title=${name} translate=${false}><span>${start}</span><span>${end}</span></span>`;
}
