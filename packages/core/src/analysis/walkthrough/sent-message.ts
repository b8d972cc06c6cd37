import type { Device } from "../../machine/device.ts";
import { amdviRequestAddress } from "../../spec/amdvi/request.ts";
import * as requestAddress from "../../spec/accessors/msi-remappable-address.ts";
import {
  msiAddress,
  msiAmdData,
  msiData,
  msiRemappableAddress,
  msiRemappableData,
} from "../../spec/msi/message.ts";
import { hex } from "../../spec/codec.ts";
import { looked } from "./decided.ts";
import type { LiveUnit } from "./live-unit.ts";
import { placeOf } from "./messages.ts";
import type { Touched } from "./step.ts";
import type { Told } from "./told.ts";

/** A device sends a message; int32. @param device the one that sends it, where it is of a machine that runs. */
export function sends(
  source: string,
  device: Device | undefined,
  address: number,
  data: number,
  vendor: LiveUnit["vendor"],
): Told {
  return {
    stop: "device",
    actor: source,
    title: `${source} sends a message`,
    detail: `${hex(address >>> 0)} ← ${hex(data >>> 0)}`,
    touched: sentMessage(source, device, address, data, vendor),
  };
}

/** The message, bit by bit, and where the device has it. */
function sentMessage(
  name: string,
  device: Device | undefined,
  address: number,
  data: number,
  vendor: LiveUnit["vendor"],
): Touched[] {
  const [to, what] = [BigInt(address >>> 0), BigInt(data >>> 0)];
  const remappable = requestAddress.format(address) === 1;
  const message =
    vendor === "intel"
      ? remappable
        ? [
            looked(`address from ${name}`, msiRemappableAddress, to, ["format", "shv", "handle"]),
            looked(`data from ${name}`, msiRemappableData, what, ["subhandle"]),
          ]
        : [
            looked(`address from ${name}`, msiAddress, to, ["format", "dst"]),
            looked(`data from ${name}`, msiData, what, ["v", "dlm"]),
          ]
      : [
          looked(`address from ${name}`, amdviRequestAddress, to, ["dm"]),
          looked(`data from ${name}`, msiAmdData, what, ["index"]),
        ];
  const place = device && placeOf(device, address, data);
  if (place === undefined) return message;
  return [looked(place.what, place.layout, place.read(), ["address", "data"]), ...message];
}
