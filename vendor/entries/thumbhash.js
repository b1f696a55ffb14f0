export { thumbHashToApproximateAspectRatio, thumbHashToRGBA } from 'thumbhash';
