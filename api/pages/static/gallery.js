// The library below the uploads: filters and grid, kept up to date by the stream of changes.

import { listen } from './events.js';
import { FilterForm } from './filter-form.js';
import { faultsOf, valuesOf } from './filters.js';
import { Grid, isAtTop, placeInGrid, scrollToPlace } from './grid.js';
import { keepPlace, keptPlace } from './place.js';
import { route } from './route.js';
import { say } from './shell.js';
import { html, useEffect } from './vendor/preact.js';
import { t } from './words.js';

/** The phases of a list whose pictures, or that there are none, can be announced. */
const READ = ['more', 'end'];

async function show(listing, values, kept) {
    await listing.begin(values, kept?.shown);
    const n = listing.images.value.length;
    if (kept) {
        scrollToPlace(kept);
    } else if (READ.includes(listing.phase.value)) {
        say(n ? t('said.shown', { n }) : t('said.none'));
    }
}

export function Gallery({ session, listing }) {
    const { search } = route.value;
    useEffect(() => {
        const values = valuesOf(search);
        if (Object.keys(faultsOf(values, session)).length) {
            listing.clear();
        } else {
            show(listing, values, listing.begun ? null : keptPlace());
        }
    }, [search]);
    useEffect(() => {
        const place = () => ({ shown: listing.images.value.length, ...placeInGrid() });
        keepPlace(place);
        return listen((image) => {
            if (image) {
                listing.change(image, isAtTop());
            } else if (listing.phase.value !== 'none') {
                show(listing, listing.values, place());
            }
        });
    }, []);
    return html`<${Grid} listing=${listing} place=${search}>
        <${FilterForm} session=${session} />
    </${Grid}>`;
}
