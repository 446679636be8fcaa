// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title $OVPP
/// @notice The network's token: fixed supply, permit and votes, no owner and no mint after deployment.
contract OVPP is ERC20, ERC20Permit, ERC20Votes {
    /// @notice All there will ever be, in base units of 18 decimals: one billion tokens.
    uint256 public constant SUPPLY = 1_000_000_000e18;

    /// @param treasury Receives the whole supply.
    constructor(address treasury) ERC20("OpenVPP", "OVPP") ERC20Permit("OpenVPP") {
        _mint(treasury, SUPPLY);
    }

    /// @inheritdoc ERC20Permit
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
