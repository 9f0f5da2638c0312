"""Compiled: how contrast pixels cross their thresholds from frame to frame (``pixels`` says what is what)."""

from typing import Any

from eventsnn.compilation import kernel


@kernel
def contrast_crossings(
    frames: Any,
    order: Any,
    step_us: int,
    threshold: Any,
    memory: Any,
    blind_until: Any,
    refractory_us: float,
    time: Any,
    pixel: Any,
    rising: Any,
    found: Any,
) -> None:
    """Write each crossing's time, pixel and direction, step by step, pixel by pixel.

    ``memory`` and ``blind_until`` (below 0: not blind) hold each pixel's state and are changed. What finds no
    room in the last arrays is counted in ``found`` all the same.
    """
    room = time.size
    count = 0
    length = float(step_us)
    for step in range(order.size - 1):
        before = frames[order[step]]
        after = frames[order[step + 1]]
        start = step * length
        end = start + length
        for n in range(threshold.size):
            begin = float(before[n])
            final = float(after[n])
            if blind_until[n] >= start:
                if blind_until[n] >= end:
                    continue
                memory[n] = begin + (final - begin) * ((blind_until[n] - start) / length)
                blind_until[n] = -1.0
            needed = float(threshold[n])
            if abs(final - memory[n]) < needed:
                continue
            change = final - begin
            sign = 1.0 if final > memory[n] else -1.0
            while (final - memory[n]) * sign >= needed:
                level = memory[n] + sign * needed
                # Rounding can leave a crossing a hair outside its step, or in a step without change (then
                # it is due at once): both are kept inside the step.
                share = 0.0
                if change != 0.0:
                    share = min(max((level - begin) / change, 0.0), 1.0)
                if count < room:
                    time[count] = step * step_us + min(int(share * length), step_us - 1)
                    pixel[count] = n
                    rising[count] = sign > 0.0
                count += 1
                memory[n] = level
                if refractory_us > 0.0:
                    blind = start + share * length + refractory_us
                    if blind >= end:
                        blind_until[n] = blind
                        break
                    memory[n] = begin + change * ((blind - start) / length)
    found[0] = count
