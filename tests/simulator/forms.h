// What a backend of the simulation registers with, as the core has it.
#pragma once

#include "muster/registration.h"

#include "simulator/oracle.h"
#include "simulator/universe.h"

namespace muster::simulator {

// `key`: as it calls itself, or as the broker lists it.
inline Registration registration_of(const Form& form, std::uint32_t key) {
  Registration registration;
  registration.key = key_of(key);
  registration.ack_timeout = form.ack_timeout;
  registration.idle_timeout = form.idle_timeout;
  registration.sdk_name = "simulator";
  if (form.hot) registration.labels["tier"] = "hot";
  if (form.bad && !(form.idle_timeout && form.idle_timeout->count() == 0)) {
    registration.key.service_name = "No such name";
  }
  return registration;
}

}  // namespace muster::simulator
