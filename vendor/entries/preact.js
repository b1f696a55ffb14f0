import htm from 'htm';
import { h } from 'preact';

export { computed, effect, signal, useComputed, useSignal, useSignalEffect } from '@preact/signals';
export { createRef, Fragment, h, render } from 'preact';
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
export const html = htm.bind(h);
