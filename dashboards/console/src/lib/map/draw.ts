/** Drawing an outline on the map: click to add corners, drag a corner to move it, double-click one to take it away. */
import type { GeoJSONSource, MapMouseEvent } from 'maplibre-gl';
import { colour } from '../severity';
import { features, type LonLat, type TownMap } from './index';

export interface Drawing {
  /** Shows an outline, its corners open to change. */
  set(corners: LonLat[]): void;
  end(): void;
}

/** Clicks this near to a corner are meant for it, in pixels. */
const REACH_PX = 10;

export function drawOn(town: TownMap, onchange: (corners: LonLat[]) => void): Drawing {
  const map = town.raw;
  let corners: LonLat[] = [];
  let dragged: number | null = null;
  const source = () => map.getSource('drawing') as GeoJSONSource | undefined;

  map.addSource('drawing', { type: 'geojson', data: features([]) });
  map.addLayer({ id: 'drawing-fill', type: 'fill', source: 'drawing', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': colour('focus'), 'fill-opacity': 0.15 } });
  map.addLayer({ id: 'drawing-line', type: 'line', source: 'drawing', filter: ['!=', ['geometry-type'], 'Point'], paint: { 'line-color': colour('focus'), 'line-width': 2.5 } });
  map.addLayer({ id: 'drawing-corners', type: 'circle', source: 'drawing', filter: ['==', ['geometry-type'], 'Point'], paint: { 'circle-radius': 7, 'circle-color': colour('card'), 'circle-stroke-color': colour('focus'), 'circle-stroke-width': 3 } });

  function draw() {
    const first = corners[0];
    const shape = first && corners.length > 2 ? { type: 'Polygon' as const, coordinates: [[...corners, first]] } : { type: 'LineString' as const, coordinates: corners };
    const list = corners.map((place) => ({ type: 'Feature' as const, geometry: { type: 'Point' as const, coordinates: place }, properties: {} }));
    source()?.setData(features(corners.length ? [{ type: 'Feature', geometry: shape, properties: {} }, ...list] : []));
  }
  function change(next: LonLat[]) {
    corners = next;
    draw();
    onchange(next);
  }
  function cornerAt(event: MapMouseEvent): number {
    return corners.findIndex((corner) => {
      const at = map.project(corner);
      return Math.hypot(at.x - event.point.x, at.y - event.point.y) <= REACH_PX;
    });
  }
  /** Where a new corner belongs: into the edge that it is nearest to. */
  function placeOf(corner: LonLat): number {
    if (corners.length < 3) return corners.length;
    const at = map.project(corner);
    let best = { far: Infinity, place: corners.length };
    corners.forEach((from, index) => {
      const [a, b] = [map.project(from), map.project(corners[(index + 1) % corners.length] ?? from)];
      const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
      const share = Math.min(1, Math.max(0, ((at.x - a.x) * (b.x - a.x) + (at.y - a.y) * (b.y - a.y)) / length ** 2));
      const far = Math.hypot(at.x - (a.x + share * (b.x - a.x)), at.y - (a.y + share * (b.y - a.y)));
      if (far < best.far) best = { far, place: index + 1 };
    });
    return best.place;
  }
  const rounded = (event: MapMouseEvent): LonLat => [Number(event.lngLat.lng.toFixed(6)), Number(event.lngLat.lat.toFixed(6))];

  const onDown = (event: MapMouseEvent) => {
    const corner = cornerAt(event);
    if (corner < 0) return;
    event.preventDefault();
    dragged = corner;
  };
  const onMove = (event: MapMouseEvent) => {
    if (dragged !== null) {
      corners = corners.map((corner, index) => (index === dragged ? rounded(event) : corner));
      draw();
      return;
    }
    map.getCanvas().style.cursor = cornerAt(event) >= 0 ? 'grab' : 'crosshair';
  };
  const onUp = () => {
    if (dragged === null) return;
    dragged = null;
    onchange(corners);
  };
  const onClick = (event: MapMouseEvent) => {
    if (cornerAt(event) >= 0) return;
    const corner = rounded(event);
    const place = placeOf(corner);
    change([...corners.slice(0, place), corner, ...corners.slice(place)]);
  };
  const onDouble = (event: MapMouseEvent) => {
    event.preventDefault();
    const corner = cornerAt(event);
    if (corner >= 0) change(corners.filter((_, index) => index !== corner));
  };
  map.on('mousedown', onDown);
  map.on('mousemove', onMove);
  map.on('mouseup', onUp);
  map.on('click', onClick);
  map.on('dblclick', onDouble);

  return {
    set(next) {
      corners = next;
      draw();
    },
    end() {
      map.off('mousedown', onDown);
      map.off('mousemove', onMove);
      map.off('mouseup', onUp);
      map.off('click', onClick);
      map.off('dblclick', onDouble);
      for (const layer of ['drawing-fill', 'drawing-line', 'drawing-corners']) if (map.getLayer(layer)) map.removeLayer(layer);
      if (map.getSource('drawing')) map.removeSource('drawing');
      map.getCanvas().style.cursor = '';
    },
  };
}
