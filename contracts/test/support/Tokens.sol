// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @dev A token that says no instead of reverting.
contract FalseToken {
    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}

/// @dev A token that answers nothing, as USDT does.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
    }

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @dev A token that keeps a tenth of each transfer.
contract TollToken is ERC20("Toll", "TOLL") {
    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function _update(address from, address to, uint256 value) internal override {
        if (from == address(0)) return super._update(from, to, value);
        super._update(from, to, value - value / 10);
        super._update(from, address(0xdead), value / 10);
    }
}

/// @dev A token that calls its receiver's friend in the middle of a transfer.
contract HookToken is ERC20("Hook", "HOOK") {
    address public hook;
    bytes public call;
    bool public hookSucceeded;
    bytes public hookAnswer;

    function mint(address to, uint256 value) external {
        _mint(to, value);
    }

    function setHook(address hook_, bytes calldata call_) external {
        hook = hook_;
        call = call_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from == address(0) || hook == address(0)) return;
        address target = hook;
        hook = address(0);
        (hookSucceeded, hookAnswer) = target.call(call);
    }
}
