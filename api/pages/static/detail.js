// Shows one picture: in a dialog over the grid, or as a page of its own.

import { focusCell } from './grid.js';
import { acts } from './keys.js';
import { Picture } from './picture.js';
import { gridPath, route, step } from './route.js';
import { Ended, Said, say } from './shell.js';
import { html, useEffect, useRef } from './vendor/preact.js';
import './words-detail.js';
import { t } from './words.js';

const WITH_ARROWS = 'input, select, textarea, .wide, pre';

export function PicturePage({ session }) {
    return html`<p><a href=${gridPath()}>${t('detail.back')}</a></p>
        <article class="detail">
            <${Picture} imageId=${route.value.imageId} session=${session} head=${(name) => html`<h2 id="picture-title" tabindex="-1" translate=${false}>${name}</h2>`} />
        </article>`;
}

/** The arrows follow the list of the grid, as it is filtered. */
export function PictureDialog({ session, listing }) {
    const { imageId } = route.value;
    const dialog = useRef(null);
    const kept = useRef({ from: document.activeElement, first: imageId });
    const now = Object.assign(kept.current, { imageId });
    if (listing.neighbour(imageId, 0)) {
        // The neighbours of an image are still known after its erasure.
        Object.assign(now, { before: listing.neighbour(imageId, -1), after: listing.neighbour(imageId, 1) });
    }
    useEffect(() => {
        dialog.current.showModal();
        return () => setTimeout(returnFocus, 0, listing, kept.current);
    }, []);
    const close = (event) => {
        event.preventDefault();
        if (!now.closing) {
            now.closing = true;
            history.back();
        }
    };
    const isAtEnd = () => ['end', 'none'].includes(listing.phase.value);
    const go = async (places) => {
        if (places > 0 && !now.after && !isAtEnd()) {
            await listing.load();
            if (route.value.imageId !== imageId) {
                return;
            }
            now.after = listing.neighbour(imageId, 1);
        }
        const next = places < 0 ? now.before : now.after;
        if (next && !now.closing) {
            step(next.imageId);
            say(next.filename ?? next.imageId);
        }
    };
    const turn = (event) => {
        const places = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const asks = dialog.current.querySelector('dialog[open]');
        if (places && acts(event) && !asks && !event.target.closest(WITH_ARROWS)) {
            event.preventDefault();
            go(places);
        }
    };
    const head = (name) => html`<div class="bar">
        <${Turn} text="detail.previous" sign="‹" go=${() => go(-1)} ends=${!now.before} />
        <${Turn} text="detail.next" sign="›" go=${() => go(1)} ends=${!now.after && isAtEnd()} />
        <h2 id="picture-title" tabindex="-1" autofocus translate=${false}>${name}</h2>
        <${Turn} text="detail.close" sign="×" go=${close} />
    </div>`;
    return html`<dialog ref=${dialog} class="sheet" aria-labelledby="picture-title" onKeyDown=${turn} onCancel=${close} onClose=${close}>
        <${Ended} />
        <article class="detail">
            <${Picture} imageId=${imageId} known=${listing.neighbour(imageId, 0)?.filename} session=${session} head=${head} edited=${(changed) => listing.update(changed)} left=${(gone) => listing.remove(gone)} />
        </article>
        <${Said} />
    </dialog>`;
}

/** A button with a sign. At the end of the list it keeps the focus, but does nothing. */
function Turn({ text, sign, go, ends = false }) {
    return html`<button class="icon" aria-label=${t(text)} title=${t(text)} aria-disabled=${ends} onClick=${go}>
        <span aria-hidden="true" translate=${false}>${sign}</span>
    </button>`;
}

/** Return to the link that opened the dialog, or to the picture that it showed at last. */
function returnFocus(listing, { from, first, imageId, before, after }) {
    if (first === imageId && from.isConnected && from !== document.body) {
        from.focus();
    } else {
        const shown = [listing.neighbour(imageId, 0), after, before].find(Boolean);
        focusCell(shown?.imageId ?? imageId);
    }
}
