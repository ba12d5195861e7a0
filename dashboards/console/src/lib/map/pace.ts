/**
 * A map that is drawn without a graphics card is drawn coarser while it moves, and sharp again when it stands: a computer of the
 * office draws each pixel itself, and a map that stutters is worse to use than one that is soft for a moment.
 */
import type { Map as MapLibre } from 'maplibre-gl';

/** Frames that take longer than this on average are too slow: 30 a second. */
const SLOW_FRAME_MS = 33;
const FRAMES_JUDGED = 6;
/** How coarse it gets: a quarter of the pixels. */
const COARSE = 0.5;

export function keepPace(map: MapLibre): void {
  let isSlow = false;
  let frames: number[] = [];
  const coarser = () => map.setPixelRatio(devicePixelRatio * COARSE);

  map.on('movestart', () => {
    frames = [];
    if (isSlow) coarser();
  });
  map.on('render', () => {
    if (isSlow || !map.isMoving()) return;
    frames.push(performance.now());
    const [first, last] = [frames[0], frames.at(-1)];
    if (frames.length <= FRAMES_JUDGED || first === undefined || last === undefined) return;
    isSlow = (last - first) / (frames.length - 1) > SLOW_FRAME_MS;
    frames = [];
    if (isSlow) coarser();
  });
  map.on('moveend', () => {
    if (isSlow) map.setPixelRatio(devicePixelRatio);
  });
}
