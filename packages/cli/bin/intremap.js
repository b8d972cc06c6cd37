#!/usr/bin/env node
import "../dist/intremap.js";
