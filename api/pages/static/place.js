// Keeps the place in the grid when a reader leaves the page, and comes back or loads it again.

const STORED = 'place';
const RETURNS = new Set(['back_forward', 'reload']);

/** Keep how many images are shown, and the place in them, as `now` returns it. */
export function keepPlace(now) {
    addEventListener('pagehide', () => {
        sessionStorage.setItem(STORED, JSON.stringify({ href: location.href, ...now() }));
    });
}

/** Return what was kept for this address: `shown` and the place. Null for a new visit. */
export function keptPlace() {
    const kept = JSON.parse(sessionStorage.getItem(STORED));
    const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType('navigation'));
    return kept?.href === location.href && RETURNS.has(visit.type) ? kept : null;
}
